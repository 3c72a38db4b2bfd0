// ---- The data: JSON, deflated, in base64; and the words that are made of it.

const HEADER = 8;
const USED = 0, FREE = 1, WAITING = 2;
// The list of the heap's top, the free block at its end: it is in no list of the policy.
const TOP = -1;
const STATES = ["used", "free", "freed, waits to be merged"];

async function readData() {
  const text = document.getElementById("data").textContent.trim();
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser can't unpack the data: use one from 2023 or later");
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

const grouped = new Intl.NumberFormat("en-US");
const count = (number) => grouped.format(number);
const bytesOf = (number) => (number === 1 ? "1 byte" : `${count(number)} bytes`);
const place = (offset) => `0x${offset.toString(16)}`;

// The first position in a sorted array whose key is not below the wanted one.
function lowerBound(array, wanted, key) {
  let low = 0, high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(array[middle]) < wanted) low = middle + 1; else high = middle;
  }
  return low;
}

const offsetOf = (block) => block.offset;

// Six numbers for each block, four for each link of the index.
function unpackBlocks(flat) {
  const blocks = [];
  for (let at = 0; at < flat.length; at += 6) {
    blocks.push({ offset: flat[at], size: flat[at + 1], state: flat[at + 2], payload: flat[at + 3], id: flat[at + 4], born: flat[at + 5] });
  }
  return blocks;
}

function unpackLinks(flat) {
  const links = [];
  for (let at = 0; at < flat.length; at += 4) {
    links.push({ at: flat[at], offset: flat[at + 1], list: flat[at + 2], parent: flat[at + 3] });
  }
  return links;
}
