/* SPDX-License-Identifier: MIT */
/* noheaders FILE: takes an ELF file's section headers away, as sstrip does. */
#include <link.h>
#include <stdio.h>

static int rewrite(FILE *file)
{
	ElfW(Ehdr) header;

	if (fread(&header, sizeof(header), 1, file) != 1)
		return -1;
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = 0;
	rewind(file);
	return fwrite(&header, sizeof(header), 1, file) == 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "r+b") : NULL;
	int error = file ? rewrite(file) : -1;

	if (file && fclose(file))
		error = -1;
	if (error)
		perror("noheaders");
	return error ? 1 : 0;
}
