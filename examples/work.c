/* SPDX-License-Identifier: MIT */
/*
 * work: a program to trace where no other can be had.
 *
 *	work [rounds [threads]]
 *
 * Each round makes a text, counts its words in a hash table, sorts them in a
 * tree, evaluates sums and places queens.  The output depends on the arguments
 * alone.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 509
#define TEXT_WORDS 4000
#define MAX_THREADS 64

struct word {
	struct word *next;            /* in its bucket */
	struct word *left, *right;    /* in the tree */
	unsigned count;
	char text[16];
};

struct job {
	pthread_t thread;
	unsigned rounds;
	uint32_t seed;
	uint64_t words, checksum;
	struct word *buckets[BUCKETS];
};

uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8 & 0xffff;
}

void make_word(uint32_t *seed, char *word)
{
	static const char *const parts[] = { "ba", "ko", "ri", "tu", "ne", "lo", "sha", "mi" };
	unsigned n = 1 + next_random(seed) % 4;

	*word = 0;
	while (n--)
		strcat(word, parts[next_random(seed) % 8]);
}

unsigned hash_word(const char *text)
{
	unsigned hash = 5381;

	while (*text)
		hash = hash * 33 + (unsigned char)*text++;
	return hash % BUCKETS;
}

struct word *find_word(struct word *list, const char *text)
{
	while (list && strcmp(list->text, text))
		list = list->next;
	return list;
}

void count_word(struct job *job, const char *text)
{
	struct word **bucket = &job->buckets[hash_word(text)];
	struct word *word = find_word(*bucket, text);

	if (!word) {
		word = calloc(1, sizeof *word);
		if (!word)
			abort();
		strcpy(word->text, text);
		word->next = *bucket;
		*bucket = word;
	}
	word->count++;
	job->words++;
}

int compare_words(const struct word *a, const struct word *b)
{
	return a->count != b->count ? (a->count < b->count ? 1 : -1) : strcmp(a->text, b->text);
}

struct word *insert_word(struct word *tree, struct word *word)
{
	if (!tree)
		return word;
	if (compare_words(word, tree) < 0)
		tree->left = insert_word(tree->left, word);
	else
		tree->right = insert_word(tree->right, word);
	return tree;
}

uint64_t walk_tree(const struct word *tree, uint64_t sum)
{
	if (!tree)
		return sum;
	sum = walk_tree(tree->left, sum);
	sum = sum * 31 + tree->count + (unsigned char)tree->text[0];
	return walk_tree(tree->right, sum);
}

void free_words(struct job *job)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (job->buckets[i]) {
			struct word *word = job->buckets[i];

			job->buckets[i] = word->next;
			free(word);
		}
	}
}

uint64_t count_text(struct job *job)
{
	struct word *tree = NULL;
	char word[16];

	for (unsigned i = 0; i < TEXT_WORDS; i++) {
		make_word(&job->seed, word);
		count_word(job, word);
	}
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct word *each = job->buckets[i]; each; each = each->next)
			tree = insert_word(tree, each);
	return walk_tree(tree, 7);
}

long parse_sum(const char **at);

long parse_factor(const char **at)
{
	long value;

	if (**at == '(') {
		++*at;
		value = parse_sum(at);
		++*at;
		return value;
	}
	for (value = 0; isdigit((unsigned char)**at); ++*at)
		value = value * 10 + (**at - '0');
	return value;
}

long parse_product(const char **at)
{
	long value = parse_factor(at);

	while (**at == '*') {
		++*at;
		value = value * parse_factor(at) % 1000003;
	}
	return value;
}

long parse_sum(const char **at)
{
	long value = parse_product(at);

	while (**at == '+' || **at == '-') {
		int sign = *(*at)++ == '+' ? 1 : -1;

		value += sign * parse_product(at);
	}
	return value;
}

uint64_t evaluate_sums(struct job *job)
{
	uint64_t sum = 0;
	char text[80];

	for (unsigned i = 0; i < 300; i++) {
		const char *at = text;

		snprintf(text, sizeof text, "%u*(%u+%u*(%u-%u))-%u", next_random(&job->seed), i,
			 next_random(&job->seed) % 100, next_random(&job->seed), i,
			 next_random(&job->seed));
		sum += (uint64_t)parse_sum(&at);
	}
	return sum;
}

unsigned place_queens(unsigned row, unsigned columns, unsigned left, unsigned right, unsigned n)
{
	unsigned free_places = ~(columns | left | right) & ((1u << n) - 1), found = 0;

	if (row == n)
		return 1;
	while (free_places) {
		unsigned place = free_places & -free_places;

		free_places ^= place;
		found += place_queens(row + 1, columns | place, (left | place) << 1,
				      (right | place) >> 1, n);
	}
	return found;
}

void *run_job(void *arg)
{
	struct job *job = arg;

	for (unsigned i = 0; i < job->rounds; i++) {
		uint64_t result = count_text(job) + evaluate_sums(job);

		result += place_queens(0, 0, 0, 0, 8);
		job->checksum = job->checksum * 1000003 ^ result;
		free_words(job);
	}
	return NULL;
}

static unsigned argument(int argc, char **argv, int n, unsigned otherwise, unsigned most)
{
	long value = argc > n ? strtol(argv[n], NULL, 10) : (long)otherwise;

	return value < 1 || value > (long)most ? otherwise : (unsigned)value;
}

int main(int argc, char **argv)
{
	static struct job jobs[MAX_THREADS];
	unsigned rounds = argument(argc, argv, 1, 6000, 1000000);
	unsigned threads = argument(argc, argv, 2, 1, MAX_THREADS);
	uint64_t words = 0;

	for (unsigned i = 0; i < threads; i++) {
		jobs[i].rounds = rounds;
		jobs[i].seed = i + 1;
		if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]))
			return 1;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(jobs[i].thread, NULL);
		words += jobs[i].words;
		printf("thread %u: checksum %016llx\n", i, (unsigned long long)jobs[i].checksum);
	}
	printf("%llu words counted\n", (unsigned long long)words);
	return 0;
}
