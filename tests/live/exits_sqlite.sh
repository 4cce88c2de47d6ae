#!/bin/bash
# SPDX-License-Identifier: MIT
# By hand, `make sqlite`: SQLite's shell, from Debian's source, does some thousand
# statements with all its functions hooked (exits_programs.sh).  Needs tclsh, which
# makes SQLite's source of its parts.
set -u
# shellcheck disable=SC2154 # from make
. "$srcdir/quickstart"
build=$(pwd)
fetch=$build/sqlite-fetch source=$build/sqlite machine=
[ "${FTR_BACKEND:-}" != i386 ] || machine=-m32

stop() {
	echo "$1"
	exit "$2"
}

get_source() {
	rm -rf "$fetch" "$source"
	fetch_source sqlite3 && mkdir "$source" &&
		tar -C "$source" --strip-components=1 -xf "$fetch"/sqlite3_*.orig.tar.xz &&
		rm -rf "$fetch" && cd "$source" && ./configure --disable-tcl && make sqlite3.c shell.c
}

if [ ! -x "$source/shell" ]; then
	command -v tclsh >/dev/null || stop "SKIP: no tclsh (package tcl)" 77
	(get_source) >sqlite.log 2>&1 || stop "SKIP: SQLite's source cannot be had (sqlite.log)" 77
	# shellcheck disable=SC2086 # flags
	${CC:-gcc} $machine -O2 -w -fpatchable-function-entry=5 -DSQLITE_THREADSAFE=1 \
		-DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE "$source/shell.c" "$source/sqlite3.c" \
		-o "$source/shell" -lpthread -ldl -lm || stop "SQLite does not compile" 1
fi

statements() {
	cat <<-'END'
		CREATE TABLE part(id INTEGER PRIMARY KEY, name TEXT, size REAL, kind INTEGER);
		CREATE INDEX part_name ON part(name);
		CREATE TABLE bill(part INTEGER REFERENCES part, n INTEGER, CHECK (n > 0));
		CREATE VIRTUAL TABLE words USING fts5(text);
		CREATE TRIGGER on_part AFTER DELETE ON part BEGIN
			DELETE FROM bill WHERE part = old.id; END;
	END
	for ((i = 1; i <= 1500; i++)); do
		echo "INSERT INTO part VALUES($i, 'part' || $((i * 7919 % 1500)), $i / 3.0, $((i % 17)));"
		echo "INSERT INTO bill VALUES($((i * 31 % 1500 + 1)), $((i % 9)));" # some fail
		echo "INSERT INTO words VALUES('w$((i % 50)) x$((i % 7)) y$i');"
		[ $((i % 100)) != 0 ] || echo "BEGIN; UPDATE part SET size = size + 1 WHERE kind = $((i % 17)); ROLLBACK;"
		[ $((i % 50)) != 0 ] || echo "SELECT kind, count(*), sum(size) FROM part GROUP BY kind ORDER BY 2, 1;"
		[ $((i % 70)) != 0 ] || echo "SELEC mistake;"
	done
	cat <<-'END'
		SELECT p.name, sum(b.n) FROM part p JOIN bill b ON b.part = p.id
			GROUP BY p.name HAVING sum(b.n) > 8 ORDER BY 2 DESC, 1 LIMIT 40;
		WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 5000)
			SELECT sum(x * x) FROM c;
		SELECT count(*) FROM words WHERE words MATCH 'w3 AND x3';
		DELETE FROM part WHERE id % 3 = 0;
		SELECT json_group_array(name) FROM (SELECT name FROM part ORDER BY name LIMIT 20);
		PRAGMA integrity_check;
		VACUUM;
		SELECT count(*), total(size) FROM part;
	END
}

statements >sqlite.sql
export SANITIZE_CFLAGS="${SANITIZE_CFLAGS:-}"
echo "$(grep -c ';$' sqlite.sql) statements"
sh "$srcdir/tests/live/exits_programs.sh" "$source/shell" -batch :memory: <sqlite.sql
