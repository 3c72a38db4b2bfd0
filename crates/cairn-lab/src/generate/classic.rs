//! The shapes of textbooks and courses: random sizes, ramps and peaks, and those that one policy can't stand.

use super::maker::Maker;

/// Random allocations and frees; the number of live blocks wanders around `level`.
fn random_order(maker: &mut Maker, level: usize, size: fn(&mut Maker) -> usize) {
    while maker.room() {
        // The further below the level, the likelier an allocation.
        let live = maker.live.len();
        if maker.random.below(2 * level) >= live {
            let size = size(maker);
            maker.allocate(size);
        } else {
            maker.free_any();
        }
    }
}

pub(super) fn uniform(maker: &mut Maker) {
    let level = (maker.wanted() / 16).max(1);
    random_order(maker, level, |maker| maker.random.between(1, 4096));
}

pub(super) fn log_normal(maker: &mut Maker) {
    let level = (maker.wanted() / 6).max(1);
    random_order(maker, level, small_mostly);
}

/// Sizes as programs ask for them: half below 64, one in fifty above a kilobyte, at most 64 KiB.
fn small_mostly(maker: &mut Maker) -> usize {
    maker.random.log_normal(64.0, 1.4, 64 << 10)
}

pub(super) fn ramp(maker: &mut Maker) {
    while maker.room() {
        let size = small_mostly(maker);
        maker.allocate(size);
    }
    for id in std::mem::take(&mut maker.live) {
        maker.release(id);
    }
}

pub(super) fn peak(maker: &mut Maker) {
    let height = (maker.wanted() / 8).max(2);
    while maker.room() {
        // A hundredth part stays from peak to peak, and pins the memory.
        while maker.live.len() < height && maker.room() {
            let size = small_mostly(maker);
            maker.allocate(size);
        }
        while maker.live.len() > height / 100 && maker.room() {
            maker.free_any();
        }
    }
}

pub(super) fn plateau(maker: &mut Maker) {
    let level = (maker.wanted() / 6).max(1);
    while maker.room() {
        if maker.live.len() >= level {
            maker.free_any();
        }
        // From small blocks to larger ones: what was freed early is too small for what comes late.
        let median = if maker.random.chance(50) { 48.0 } else { 200.0 };
        let size = maker.random.log_normal(median, 1.0, 16 << 10);
        maker.allocate(size);
    }
}

/// Two sizes in turn; all of the second are freed; as many of the third, which is as long as both together.
fn alternate(maker: &mut Maker, kept: usize, freed: usize, wanted: usize) {
    // A pair is six requests: two allocations, a free, an allocation, two frees.
    let pairs = (maker.wanted() / 6).max(1);
    let mut second = Vec::new();
    for _ in 0..pairs {
        maker.allocate(kept);
        let id = maker.own(freed);
        second.push(id);
    }
    for id in second {
        maker.release(id);
    }
    for _ in 0..pairs {
        maker.allocate(wanted);
    }
}

pub(super) fn alternating(maker: &mut Maker) {
    alternate(maker, 64, 448, 512);
}

pub(super) fn alternating_small(maker: &mut Maker) {
    alternate(maker, 16, 112, 128);
}

pub(super) fn creeping(maker: &mut Maker) {
    const ROUNDS: usize = 10;
    // Of `count` blocks, half are replaced each round: two requests each.
    let count = (maker.wanted() / (2 + ROUNDS)).max(2);
    let mut blocks: Vec<u32> = (0..count).map(|_| maker.own(200)).collect();
    for round in 1..=ROUNDS {
        let size = 200 + 24 * round;
        let chosen = || (round % 2..count).step_by(2);
        for index in chosen() {
            maker.release(blocks[index]);
        }
        for index in chosen() {
            blocks[index] = maker.own(size);
        }
    }
    maker.live = blocks;
}

pub(super) fn coalescing(maker: &mut Maker) {
    // A round is four small blocks and one large one: ten requests, of which the last free comes much later.
    const SMALL: usize = 4;
    let rounds = (maker.wanted() / 10).max(1);
    let group = (rounds / 4).max(1);
    let mut made = 0;
    while made < rounds {
        let now = group.min(rounds - made);
        let mut groups = Vec::new();
        let mut all = Vec::new();
        for _ in 0..now {
            let sizes: Vec<usize> = (0..SMALL).map(|_| 16 * maker.random.between(4, 63) + 8).collect();
            for size in &sizes {
                let id = maker.own(*size);
                all.push(id);
            }
            groups.push(sizes.iter().sum::<usize>());
        }
        maker.shuffle(&mut all);
        for id in all {
            maker.release(id);
        }
        maker.shuffle(&mut groups);
        let large: Vec<u32> = groups.into_iter().map(|size| maker.own(size)).collect();
        // The last large block of each group stays as a fence.
        let (last, others) =
            large.split_last().map_or((None, &[][..]), |(last, others)| (Some(*last), others));
        for id in others {
            maker.release(*id);
        }
        maker.live.extend(last);
        made += now;
    }
}

pub(super) fn realloc_chain(maker: &mut Maker) {
    // A step is a realloc, a small block, and its free.
    let chain = maker.own(512);
    let mut size = 512;
    let mut before = None;
    for _ in 0..maker.wanted() / 3 {
        size += 640;
        maker.reallocate(chain, size);
        let small = maker.own(128);
        if let Some(before) = before.replace(small) {
            maker.release(before);
        }
    }
    maker.live.push(chain);
    maker.live.extend(before);
}
