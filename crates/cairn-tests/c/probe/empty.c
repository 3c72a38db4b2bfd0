/* A shared object with nothing in it: what it costs to preload anything at all. */
int cairn_tests_empty;
