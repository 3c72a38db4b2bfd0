//! The table of all orderings, and of the faults that are planted: which test fails without each.
//!
//! An ordering that nobody misses is either stronger than it need be or tested by nobody. So each has a name (see
//! [`cairn_core::sync`]) and a row here; a test reads the sources and fails if a name has no row or an ordering no name, and in a
//! build with loom another runs the test of each row with the ordering weakened, and wants it to fail.
//! Rows that loom can't see are run under Miri: `cargo test -p cairn-model --test models -- --ignored miri`.

/// One thing that is made weaker.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// The name in the source: `ord!("name", ..)` or `planted!("name")`. For `AcqRel` with `/acquire` or `/release`.
    pub name: &'static str,
    /// The file, from `crates` on.
    pub file: &'static str,
    /// The test that fails.
    pub test: &'static str,
    /// What goes wrong.
    pub fault: &'static str,
    /// Which tool sees it.
    pub seen_by: Tool,
}

/// A tool that sees what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// In a build with `--cfg loom`.
    Loom,
    /// Miri, in a build with `--cfg cairn_mutants`: plain memory is involved, whose order loom doesn't model.
    Miri,
    /// None. The row's fault says what would, its test which other one argues for it.
    None,
}

const fn row(name: &'static str, file: &'static str, test: &'static str, fault: &'static str) -> Mutant {
    Mutant { name, file, test, fault, seen_by: Tool::Loom }
}

const fn by_miri(row: Mutant) -> Mutant {
    Mutant { seen_by: Tool::Miri, ..row }
}

/// No stock of the hardened heap is in a model, and who looks on while a bin's slots move can't tell. What their fences keep is what a bin's
/// keep: blocks before the length, a piece forgotten before it is given away.
const fn like(row: Mutant) -> Mutant {
    Mutant { seen_by: Tool::None, ..row }
}

const BIN: &str = "cairn-alloc/src/bin.rs";
const LOCK: &str = "cairn-core/src/lock.rs";
const KEY: &str = "cairn-alloc/src/key.rs";
const REGISTRY: &str = "cairn-alloc/src/registry.rs";
const WINDOW: &str = "cairn-alloc/src/region/window.rs";
const HANDS: &str = "cairn-alloc/src/thread/hands.rs";
const STOCK: &str = "cairn-alloc/src/hardened/heap/stock.rs";
const SHELF: &str = "cairn-alloc/src/shelf.rs";
const FORK: &str = "cairn-alloc/src/fork.rs";
const INSIDE: &str = "cairn-alloc/src/inside.rs";
const BIRTHS: &str = "cairn-alloc/src/thread/living.rs";
const MODE: &str = "cairn-alloc/src/mode.rs";
const TRANSFER: &str = "cairn-alloc/src/transfer.rs";
const HEAD: &str = "cairn-alloc/src/transfer/head.rs";

/// See the module.
#[rustfmt::skip]
pub const MUTANTS: &[Mutant] = &[
    row("lock-enter", LOCK, "lock::two_threads_exclude_each_other_and_both_get_in", "who enters doesn't see what was written inside"),
    row("lock-leave", LOCK, "lock::two_threads_exclude_each_other_and_both_get_in", "the same, from the other side"),
    row("lock-enter-waited", LOCK, "lock::two_threads_exclude_each_other_and_both_get_in", "the same for a thread that slept"),
    row("key-get", KEY, "key::a_thread_that_comes_later_only_looks", "the key is used before the C library knows it"),
    row("key-publish", KEY, "key::two_threads", "the same, from the other side"),
    row("key-theirs", KEY, "key::two_threads", "the same for a thread that made one in vain"),
    row("heap-take", REGISTRY, "registry::a_heap_is_handed_on_without_any_other_order", "the new owner sees blocks that the old one gave away"),
    row("heap-leave", REGISTRY, "registry::a_heap_is_handed_on_without_any_other_order", "the same, from the other side"),
    row("registry-add", REGISTRY, "registry::two_are_born_while_another_walks", "a walker sees a heap that is half made"),
    row("registry-walk", REGISTRY, "registry::two_are_born_while_another_walks", "the same, from the other side"),
    row("region-committed", WINDOW, "regions::who_finds_a_granule_finds_it_described", "a descriptor is read before it is there"),
    row("region-commit", WINDOW, "regions::who_finds_a_granule_finds_it_described", "the same, from the other side"),
    row("region-base", WINDOW, "regions::one_reader_judges_while_a_region_is_replaced", "a new base is used with an old length"),
    row("region-open", WINDOW, "regions::one_reader_judges_while_a_region_is_replaced", "the same, from the other side"),
    row("region-shut", WINDOW, "regions::one_reader_judges_while_a_region_is_replaced", "no base is used with an old length: low addresses are ours"),
    by_miri(row("bin-push", BIN, "bins::a_block_is_in_its_slot_before_top_is_above_it", "a fork's child finds rubbish in a bin")),
    by_miri(row("bin-fill", BIN, "bins::a_filled_bin_has_its_blocks_before_top_is_above_them", "the same")),
    row("bin-change-shut", BIN, "bins::an_array_is_changed_in_order", "a fork's child finds the old top above the new base"),
    row("bin-change-open", BIN, "bins::an_array_is_changed_in_order", "a fork's child finds the new top above the old base"),
    row("bin-change-give", BIN, "bins::an_array_is_changed_in_order", "a fork's child finds an array that is used for something else"),
    like(row("bin-oldest-shut", BIN, "bins::what_moved_down_is_there_before_top_is_above_it", "a fork's child finds a block twice in a bin")),
    by_miri(row("bin-oldest-open", BIN, "bins::what_moved_down_is_there_before_top_is_above_it", "a fork's child finds rubbish in a bin")),
    like(row("stock-retain", STOCK, "bins::a_block_is_in_its_slot_before_top_is_above_it", "a fork's child finds rubbish in a stock")),
    like(row("stock-open", STOCK, "bins::an_array_is_changed_in_order", "a fork's child gives back another number of bytes than the stock has")),
    like(row("stock-forget", STOCK, "bins::an_array_is_changed_in_order", "the same")),
    like(row("stock-close", STOCK, "bins::an_array_is_changed_in_order", "a fork's child finds a stock in a piece that is used for something else")),
    row("hands-before", HANDS, "shelves::what_comes_into_the_hands_is_out_of_the_bin", "a fork's child finds blocks twice, or rubbish"),
    row("hands-after", HANDS, "shelves::what_left_the_hands_is_seen_to_have_left", "a fork's child finds blocks twice"),
    row("shelf-lock", SHELF, "shelves::two_threads_of_a_cpu_lose_and_double_nothing", "two threads change one shelf"),
    row("fork-order", FORK, "forks::a_fork_meets_a_trip_to_slabs", "the locks are taken in another order than the engine nests them: a deadlock"),
    row("fork-lends", INSIDE, "forks::a_handler_of_the_fork_allocates", "a handler of the fork waits for its own thread's locks"),
    row("fork-frees", FORK, "forks::the_child_finds_every_lock_free", "a child waits for locks of its parent's"),
    row("birth-asks-again", BIRTHS, "modes::nobody_gets_bins_in_a_mode_without_them", "a thread goes on in the default mode, past the one that was entered"),
    row("mode-begin", MODE, "modes::who_sees_a_mode_sees_what_was_prepared_for_it", "a thread works in a mode that isn't ready"),
    row("mode-current", MODE, "modes::who_sees_a_mode_sees_what_was_prepared_for_it", "the same, from the other side"),
    row("version", HEAD, "transfer::a_head_that_returns_is_told_apart", "the head looks the same, and a batch has two owners (ABA)"),
    row("push", TRANSFER, "transfer::two_threads_push_and_pop", "the popper sees an old batch"),
    row("pop-look", TRANSFER, "transfer::a_push_publishes_a_chunk_that_the_popper_never_saw", "the same, from the other side"),
    row("pop-again", TRANSFER, "transfer::two_threads_push_and_pop", "the same for who was overtaken"),
    row("chunk-carve", TRANSFER, "transfer::two_threads_carve_different_batches", "a batch is used before its memory is there"),
    row("chunk-publish", TRANSFER, "transfer::two_threads_carve_different_batches", "the same, from the other side"),
    row("walk-chunk", TRANSFER, "transfer::a_walk_sees_only_batches_that_exist", "statistics read a batch before its memory is there"),
];
