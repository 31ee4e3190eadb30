// Where a user stands, as `modelrollout assign` says it: docs/reference/assignment.md. No dependencies; runs in Node,
// in browsers and in edge workers. `node bucket.mjs vectors.json` checks it against the published values.

const WORD = (1n << 64n) - 1n;
const IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const ORDERS = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
].map((row) => [...row].map((digit) => parseInt(digit, 16)));
const MIXES = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];
const turned = (x, bits) => ((x >> bits) | (x << (64n - bits))) & WORD;

// One block of 128 bytes into the state (RFC 7693, 3.2).
function compress(state, block, count, last) {
  const words = Array.from({ length: 16 }, (_, i) => block.getBigUint64(8 * i, true));
  const v = [...state, ...IV];
  v[12] ^= count;
  if (last) v[14] ^= WORD;
  for (let round = 0; round < 12; round++) {
    const order = ORDERS[round % 10];
    MIXES.forEach(([a, b, c, d], i) => {
      v[a] = (v[a] + v[b] + words[order[2 * i]]) & WORD;
      v[d] = turned(v[d] ^ v[a], 32n);
      v[c] = (v[c] + v[d]) & WORD;
      v[b] = turned(v[b] ^ v[c], 24n);
      v[a] = (v[a] + v[b] + words[order[2 * i + 1]]) & WORD;
      v[d] = turned(v[d] ^ v[a], 16n);
      v[c] = (v[c] + v[d]) & WORD;
      v[b] = turned(v[b] ^ v[c], 63n);
    });
  }
  state.forEach((_, i) => { state[i] ^= v[i] ^ v[i + 8]; });
}

// 0n to 2n ** 64n - 1n.
export function place(user, key) {
  const secret = new TextEncoder().encode(key);
  const text = new TextEncoder().encode(user);
  if (secret.length < 1 || secret.length > 64) throw new RangeError(`the key must have 1 to 64 bytes, has ${secret.length}`);
  // The key fills the first block; the user follows.
  const blocks = 1 + Math.ceil(text.length / 128);
  const bytes = new Uint8Array(128 * blocks);
  bytes.set(secret, 0);
  bytes.set(text, 128);
  const state = [...IV];
  state[0] ^= 0x01010000n ^ (BigInt(secret.length) << 8n) ^ 8n;
  for (let i = 0; i < blocks; i++) {
    const last = i === blocks - 1;
    compress(state, new DataView(bytes.buffer, 128 * i, 128), BigInt(last ? 128 + text.length : 128 * (i + 1)), last);
  }
  const digest = new DataView(new ArrayBuffer(8));
  digest.setBigUint64(0, state[0], true);
  return digest.getBigUint64(0, false);
}

// "0000" to "9999": what the header carries.
export function bucket(user, key) {
  return ((place(user, key) * 10000n) >> 64n).toString().padStart(4, "0");
}

// `weight`: percent, such as 25 or 0.5.
export function isCandidates(user, key, weight) {
  return Number(bucket(user, key)) < Math.round(weight * 100);
}

if (globalThis.process?.argv[1]?.endsWith("bucket.mjs") && process.argv[2]) {
  const { readFileSync } = await import("node:fs");
  const { vectors } = JSON.parse(readFileSync(process.argv[2], "utf8"));
  for (const { unit, key, place: expected, bucket: number, arms } of vectors) {
    const found = [place(unit, key).toString(16).padStart(16, "0"), bucket(unit, key)];
    const sides = Object.entries(arms).every(([weight, arm]) => isCandidates(unit, key, Number(weight)) === (arm === "candidate"));
    if (found[0] !== expected || found[1] !== number || !sides) {
      console.error(`${JSON.stringify(unit)} under ${JSON.stringify(key)}: ${found}, expected ${expected},${number}`);
      process.exitCode = 1;
    }
  }
  if (!process.exitCode) console.log(`${vectors.length} vectors agree`);
}
