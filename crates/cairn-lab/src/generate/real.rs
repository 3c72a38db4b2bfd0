//! Shapes after what programs do: the blocks of one purpose come and go together.

use super::maker::Maker;

pub(super) fn vectors(maker: &mut Maker) {
    /// Elements of 8 bytes that a vector holds at most.
    const MOST: usize = 8 << 10;
    // (block, capacity in elements)
    let mut vectors: Vec<(u32, usize)> = Vec::new();
    let level = (maker.wanted() / 100).max(4);
    let mut done = 0;
    while done + vectors.len() < maker.wanted() {
        done += 1;
        let choice = maker.random.below(100);
        if vectors.len() < level && (choice < 40 || vectors.is_empty()) {
            let id = maker.own(8 * 4);
            vectors.push((id, 4));
            continue;
        }
        let index = maker.random.below(vectors.len());
        let (id, capacity) = vectors[index];
        // Few arrays become large: each doubling is as likely as the end.
        if capacity < MOST && choice < 70 {
            maker.reallocate(id, 8 * capacity * 2);
            vectors[index].1 = capacity * 2;
        } else if choice < 75 {
            // Shrunk to what is used.
            let used = maker.random.between(capacity / 2 + 1, capacity);
            maker.reallocate(id, 8 * used);
            vectors[index].1 = used;
        } else {
            maker.release(id);
            vectors.swap_remove(index);
        }
    }
    maker.live.extend(vectors.into_iter().map(|(id, _)| id));
}

pub(super) fn server(maker: &mut Maker) {
    let sessions = (maker.wanted() / 40).max(4);
    // Several requests are under way at once, each with its blocks.
    let mut under_way: Vec<Vec<u32>> = vec![Vec::new(); 16];
    let mut held = 0;
    while maker.room_beside(held) {
        let index = maker.random.below(under_way.len());
        let mut blocks = std::mem::take(&mut under_way[index]);
        held -= blocks.len();
        if blocks.len() > maker.random.between(8, 60) {
            while let Some(id) = blocks.pop() {
                maker.release(id);
            }
            // What is remembered of the request: a session, which pushes out an older one.
            let size = maker.random.log_normal(300.0, 0.8, 8 << 10);
            maker.allocate(size);
            if maker.live.len() > sessions {
                maker.free_any();
            }
        } else {
            let size = match maker.random.below(20) {
                0 => 16 << 10,
                1 => 4 << 10,
                2..6 => maker.random.between(200, 1500),
                _ => maker.random.log_normal(40.0, 0.9, 4 << 10),
            };
            let id = maker.own(size);
            blocks.push(id);
        }
        held += blocks.len();
        under_way[index] = blocks;
    }
    maker.live.extend(under_way.into_iter().flatten());
}

pub(super) fn compiler(maker: &mut Maker) {
    const PHASES: usize = 6;
    const NODES: [usize; 8] = [24, 32, 32, 40, 48, 56, 72, 104];
    let phase = (maker.wanted() / PHASES / 2).max(1);
    let mut stays: Vec<u32> = Vec::new();
    for _ in 0..PHASES {
        let mut nodes = Vec::new();
        let table = maker.own(1024);
        let mut capacity = 1024;
        while nodes.len() < phase {
            let size = if maker.random.chance(2) {
                maker.random.log_normal(600.0, 1.0, 32 << 10)
            } else {
                NODES[maker.random.below(NODES.len())]
            };
            let id = maker.own(size);
            nodes.push(id);
            if nodes.len() * 8 > capacity {
                capacity *= 2;
                maker.reallocate(table, capacity);
            }
        }
        // The phase before is freed in the order in which it was made; a tenth of this one outlives the next.
        for id in stays.drain(..) {
            maker.release(id);
        }
        for id in nodes {
            if maker.random.chance(10) {
                stays.push(id);
            } else {
                maker.release(id);
            }
        }
        maker.release(table);
    }
    maker.live = stays;
}

pub(super) fn strings(maker: &mut Maker) {
    let level = (maker.wanted() / 5).max(2);
    let mut capacity = 64;
    let index = maker.own(8 * capacity);
    while maker.room() {
        if maker.live.len() >= level || (maker.live.len() > 2 && maker.random.chance(15)) {
            maker.free_any();
        }
        let size = 24 + maker.random.log_normal(30.0, 0.9, 4 << 10);
        maker.allocate(size);
        if maker.live.len() > capacity {
            capacity *= 2;
            maker.reallocate(index, 8 * capacity);
        }
    }
    maker.live.push(index);
}

pub(super) fn queue(maker: &mut Maker) {
    let mut waiting = std::collections::VecDeque::new();
    let level = (maker.wanted() / 20).max(2);
    for turn in 0..maker.wanted() / 2 {
        let size = if maker.random.chance(90) {
            maker.random.log_normal(120.0, 0.8, 4 << 10)
        } else {
            maker.random.between(4 << 10, 24 << 10)
        };
        let id = maker.own(size);
        waiting.push_back(id);
        // The queue fills and drains in waves.
        let now = level / 4 + (turn % level);
        while waiting.len() > now.max(1) {
            if let Some(id) = waiting.pop_front() {
                maker.release(id);
            }
        }
    }
    maker.live.extend(waiting);
}

pub(super) fn stack(maker: &mut Maker) {
    let mut stack = Vec::new();
    let deepest = (maker.wanted() / 8).max(2);
    let mut goal = 0;
    let mut made = 0;
    while made < maker.wanted() / 2 {
        if stack.len() == goal {
            goal = maker.random.below(deepest);
        }
        if stack.len() < goal {
            let size = maker.random.log_normal(160.0, 1.2, 32 << 10);
            let id = maker.own(size);
            stack.push(id);
            made += 1;
        } else if let Some(id) = stack.pop() {
            maker.release(id);
        }
    }
    while let Some(id) = stack.pop() {
        maker.release(id);
    }
}
