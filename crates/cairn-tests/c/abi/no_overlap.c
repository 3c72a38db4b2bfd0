/* Claim: live blocks never overlap and keep their contents, through a long random life of many sizes. */
#include "check.h"

enum { SLOTS = 20000, ROUNDS = 600000 };
static struct {
    void *block;
    size_t size;
} slot[SLOTS];

int main(void) {
    uint64_t state = 42;
    for (int i = 0; i < ROUNDS; i++) {
        int at = next_random(&state) % SLOTS;
        if (slot[at].block) {
            size_t place = differs(slot[at].block, slot[at].size, at);
            CHECK(place == slot[at].size, "round %d: byte %zu of a block of %zu changed", i, place, slot[at].size);
            free(slot[at].block);
        }
        uint64_t kind = next_random(&state) % 1000;
        size_t limit = kind < 900 ? 200 : kind < 990 ? 3000 : kind < 999 ? 60000 : 400000;
        slot[at].size = next_random(&state) % limit;
        slot[at].block = malloc(slot[at].size);
        CHECK(slot[at].block != NULL, "malloc(%zu)", slot[at].size);
        fill(slot[at].block, slot[at].size, at);
    }
    for (int at = 0; at < SLOTS; at++) {
        CHECK(differs(slot[at].block, slot[at].size, at) == slot[at].size, "a block of %zu changed", slot[at].size);
        free(slot[at].block);
    }
    return 0;
}
