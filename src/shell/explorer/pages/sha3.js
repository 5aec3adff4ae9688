// SHA3-512 (FIPS 202), which browsers do not have. Bytes in, in any pieces; hex out. A lane of 64
// bits is two halves of 32, the low one first, so that no big numbers are needed.

const RATE = 72;
// Bytes after which the page may do something else.
const PAUSE = 1 << 20;
const LOW = [
  0x00000001, 0x00008082, 0x0000808a, 0x80008000, 0x0000808b, 0x80000001, 0x80008081, 0x00008009,
  0x0000008a, 0x00000088, 0x80008009, 0x8000000a, 0x8000808b, 0x0000008b, 0x00008089, 0x00008003,
  0x00008002, 0x00000080, 0x0000800a, 0x8000000a, 0x80008081, 0x00008080, 0x80000001, 0x80008008,
];
// Whether the top bit of the constant of a round is set.
const HIGH = [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1];
// No turn but the first is a multiple of 32.
const TURNS = Int32Array.of(
  0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14,
);
// Where the low half of a lane goes: from x, y to y, 2x + 3y.
const PLACES = TURNS.map((_, i) => {
  const x = i % 5;
  const y = Math.floor(i / 5);
  return 2 * (y + 5 * ((2 * x + 3 * y) % 5));
});

// What the empty text and "abc" give; the tests compare.
export const VALUES = [
  ["", "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26"],
  ["616263", "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"],
];

function permute(s, b) {
  for (let round = 0; round < 24; round += 1) {
    // Theta: the parity of each column, low and high halves.
    const c0 = s[0] ^ s[10] ^ s[20] ^ s[30] ^ s[40];
    const c1 = s[1] ^ s[11] ^ s[21] ^ s[31] ^ s[41];
    const c2 = s[2] ^ s[12] ^ s[22] ^ s[32] ^ s[42];
    const c3 = s[3] ^ s[13] ^ s[23] ^ s[33] ^ s[43];
    const c4 = s[4] ^ s[14] ^ s[24] ^ s[34] ^ s[44];
    const c5 = s[5] ^ s[15] ^ s[25] ^ s[35] ^ s[45];
    const c6 = s[6] ^ s[16] ^ s[26] ^ s[36] ^ s[46];
    const c7 = s[7] ^ s[17] ^ s[27] ^ s[37] ^ s[47];
    const c8 = s[8] ^ s[18] ^ s[28] ^ s[38] ^ s[48];
    const c9 = s[9] ^ s[19] ^ s[29] ^ s[39] ^ s[49];
    spread(s, 0, c8 ^ ((c2 << 1) | (c3 >>> 31)), c9 ^ ((c3 << 1) | (c2 >>> 31)));
    spread(s, 2, c0 ^ ((c4 << 1) | (c5 >>> 31)), c1 ^ ((c5 << 1) | (c4 >>> 31)));
    spread(s, 4, c2 ^ ((c6 << 1) | (c7 >>> 31)), c3 ^ ((c7 << 1) | (c6 >>> 31)));
    spread(s, 6, c4 ^ ((c8 << 1) | (c9 >>> 31)), c5 ^ ((c9 << 1) | (c8 >>> 31)));
    spread(s, 8, c6 ^ ((c0 << 1) | (c1 >>> 31)), c7 ^ ((c1 << 1) | (c0 >>> 31)));
    // Rho and pi: each lane is turned and goes to its new place.
    b[0] = s[0];
    b[1] = s[1];
    for (let i = 1; i < 25; i += 1) {
      const turn = TURNS[i];
      const rest = turn & 31;
      const swap = turn >>> 5;
      const low = s[i * 2 + swap];
      const high = s[i * 2 + 1 - swap];
      const to = PLACES[i];
      b[to] = (low << rest) | (high >>> (32 - rest));
      b[to + 1] = (high << rest) | (low >>> (32 - rest));
    }
    // Chi, row by row, and iota.
    for (let i = 0; i < 50; i += 10) {
      const x0 = b[i];
      const x1 = b[i + 1];
      const x2 = b[i + 2];
      const x3 = b[i + 3];
      s[i] = x0 ^ (~x2 & b[i + 4]);
      s[i + 1] = x1 ^ (~x3 & b[i + 5]);
      s[i + 2] = x2 ^ (~b[i + 4] & b[i + 6]);
      s[i + 3] = x3 ^ (~b[i + 5] & b[i + 7]);
      s[i + 4] = b[i + 4] ^ (~b[i + 6] & b[i + 8]);
      s[i + 5] = b[i + 5] ^ (~b[i + 7] & b[i + 9]);
      s[i + 6] = b[i + 6] ^ (~b[i + 8] & x0);
      s[i + 7] = b[i + 7] ^ (~b[i + 9] & x1);
      s[i + 8] = b[i + 8] ^ (~x0 & x2);
      s[i + 9] = b[i + 9] ^ (~x1 & x3);
    }
    s[0] ^= LOW[round];
    s[1] ^= HIGH[round] << 31;
  }
}

function spread(s, x, low, high) {
  s[x] ^= low;
  s[x + 1] ^= high;
  s[x + 10] ^= low;
  s[x + 11] ^= high;
  s[x + 20] ^= low;
  s[x + 21] ^= high;
  s[x + 30] ^= low;
  s[x + 31] ^= high;
  s[x + 40] ^= low;
  s[x + 41] ^= high;
}

export class Sha3 {
  constructor() {
    this.state = new Int32Array(50);
    this.lanes = new Int32Array(50);
    this.used = 0;
  }

  byte(at, value) {
    this.state[at >> 2] ^= value << ((at & 3) * 8);
  }

  update(bytes) {
    const { state } = this;
    let i = 0;
    while (i < bytes.length) {
      if (this.used === 0 && bytes.length - i >= RATE) {
        // A whole block at once.
        for (let word = 0; word < RATE / 4; word += 1, i += 4) {
          state[word] ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
        }
        permute(state, this.lanes);
        continue;
      }
      this.byte(this.used, bytes[i]);
      i += 1;
      this.used += 1;
      if (this.used === RATE) {
        permute(this.state, this.lanes);
        this.used = 0;
      }
    }
    return this;
  }

  hex() {
    this.byte(this.used, 0x06);
    this.byte(RATE - 1, 0x80);
    permute(this.state, this.lanes);
    let text = "";
    for (let i = 0; i < 64; i += 1) {
      const byte = (this.state[i >> 2] >>> ((i & 3) * 8)) & 255;
      text += byte.toString(16).padStart(2, "0");
    }
    return text;
  }
}

// The fingerprint of a document: 01, then the SHA3-512 of its bytes. Reads it piece by piece.
export async function fingerprint(file, told = () => {}) {
  const hash = new Sha3();
  const reader = file.stream().getReader();
  let done = 0;
  let paused = 0;
  for (;;) {
    const piece = await reader.read();
    if (piece.done) {
      return "01" + hash.hex();
    }
    hash.update(piece.value);
    done += piece.value.length;
    told(done);
    // Others get their turn now and then.
    if (done - paused >= PAUSE) {
      paused = done;
      await new Promise((go) => setTimeout(go));
    }
  }
}
