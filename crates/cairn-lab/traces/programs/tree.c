int snprintf(char *, unsigned long, const char *, ...); int printf(const char *, ...);
void *calloc(unsigned long, unsigned long);
struct stone { struct stone *left, *right; int weight; char name[16]; };
static struct stone *put(struct stone *at, struct stone *new) {
    if (!at) return new;
    if (new->weight < at->weight) at->left = put(at->left, new); else at->right = put(at->right, new);
    return at;
}
static long sum(const struct stone *at) { return at ? at->weight + sum(at->left) + sum(at->right) : 0; }
int main(void) {
    struct stone *root = 0;
    for (int i = 0; i < 1000; i++) {
        struct stone *new = calloc(1, sizeof *new);
        new->weight = i * 7919 % 1009;
        snprintf(new->name, sizeof new->name, "stone %d", i);
        root = put(root, new);
    }
    printf("%ld\n", sum(root));
    return 0;
}
