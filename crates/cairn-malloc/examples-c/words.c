/* Counts how often each word occurs on standard input, in a C program that carries Cairn inside.
 *
 *     cargo build --release -p cairn-malloc
 *     cc -O2 -Wall -I crates/cairn-malloc/include crates/cairn-malloc/examples-c/words.c \
 *        target/release/libcairn.a -pthread -o words
 *     echo "stone on stone on stone" | ./words
 *
 * prints
 *
 *     3 stone
 *     2 on
 *
 * and then, on standard error, what the heap holds. The library comes after the sources, as every
 * archive must; with -static the program needs no shared object at all. */
#include <cairn.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct word {
    struct word *next;
    size_t count;
    char text[];
};

static int by_count(const void *a, const void *b) {
    const struct word *x = *(struct word *const *)a, *y = *(struct word *const *)b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->text, y->text);
}

static void *or_exit(void *block) {
    if (!block) {
        perror("words");
        exit(1);
    }
    return block;
}

int main(void) {
    enum { BUCKETS = 4096 };
    struct word **buckets = or_exit(calloc(BUCKETS, sizeof *buckets));
    char text[256];
    size_t words = 0;
    while (scanf("%255s", text) == 1) {
        unsigned hash = 5381;
        for (char *c = text; *c; c++) hash = hash * 33 + (unsigned char)(*c = (char)tolower((unsigned char)*c));
        struct word **place = &buckets[hash % BUCKETS];
        while (*place && strcmp((*place)->text, text) != 0) place = &(*place)->next;
        if (!*place) {
            *place = or_exit(malloc(sizeof **place + strlen(text) + 1));
            **place = (struct word){0};
            strcpy((*place)->text, text);
            words++;
        }
        (*place)->count++;
    }

    struct word **sorted = or_exit(reallocarray(NULL, words + 1, sizeof *sorted));
    size_t filled = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct word *word = buckets[i]; word; word = word->next) sorted[filled++] = word;
    qsort(sorted, filled, sizeof *sorted, by_count);
    for (size_t i = 0; i < filled; i++) printf("%zu %s\n", sorted[i]->count, sorted[i]->text);
    fflush(stdout);

    struct mallinfo2 heap = mallinfo2();
    fprintf(stderr, "Cairn " CAIRN_VERSION ": %zu words, %zu bytes held\n", words, heap.uordblks + heap.hblkhd);
    for (size_t i = 0; i < filled; i++) free_sized(sorted[i], sizeof *sorted[i] + strlen(sorted[i]->text) + 1);
    free(sorted);
    free(buckets);
    return 0;
}
