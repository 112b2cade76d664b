#include "kernels.h"

#include <immintrin.h>

namespace {

// Keeps the compiler from seeing through a loop.
template <typename T>
void opaque(T& value) {
  asm volatile("" : "+r"(value));
}

u64 alu(u8*, u64 count) {
  u64 a = 1, b = 2, c = 3;
  for (; count != 0; --count) {
    a = (a + b) ^ (c << 3);
    b = (b * 5) + (a >> 7);
    c = (c ^ a) - b;
    opaque(a);
  }
  return a + b + c;
}

u64 collatz(u8*, u64 count) {
  u64 steps = 0;
  for (u64 n = 1; n <= count; ++n) {
    for (u64 x = n; x != 1; ++steps) {
      opaque(x);
      if ((x & 1) != 0)
        x = 3 * x + 1;
      else
        x >>= 1;
    }
  }
  return steps;
}

u64 modify_64k(u8* buffer, u64 count) {
  u64* const words = reinterpret_cast<u64*>(buffer);
  u64 x = 12345;
  for (; count != 0; --count) {
    x = x * 5 + 1;
    words[x & 8191] += x;
  }
  return words[17] + x;
}

u64 random_8m(u8* buffer, u64 count) {
  u64* const words = reinterpret_cast<u64*>(buffer);
  u64 x = 12345, sum = 0;
  for (; count != 0; --count) {
    x = x * 6364136223846793005ull + 1442695040888963407ull;
    u64& word = words[x >> 44];
    sum += word;
    word = x;
  }
  return sum;
}

[[gnu::always_inline]] inline u32 rotate(u32 x, int n) { return x >> n | x << (32 - n); }

constexpr u32 kSha[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

u64 sha256(u8* buffer, u64 blocks) {
  u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (u64 n = 0; n < blocks; ++n) {
    const u32* const in = reinterpret_cast<const u32*>(buffer) + (n & 1023) * 16;
    u32 w[64];
    for (int i = 0; i < 16; ++i) w[i] = __builtin_bswap32(in[i]);
    for (int i = 16; i < 64; ++i) {
      const u32 s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
      const u32 s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; ++i) {
      const u32 t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + kSha[i] + w[i];
      const u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g,
        state[7] += h;
  }
  return static_cast<u64>(state[0]) << 32 | state[7];
}

// A greedy LZ77 compressor with a hash table, over text-like input.
u64 compress(u8* buffer, u64 count) {
  constexpr u32 kInput = 64 << 10;
  u8* const in = buffer;
  u8* const out = buffer + (128 << 10);
  u32* const table = reinterpret_cast<u32*>(buffer + (256 << 10));
  u64 x = 88172645463325252ull;
  for (u32 n = 0; n < kInput;) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    if ((x & 3) != 0 && n > 600) {
      const u32 from = n - 1 - static_cast<u32>(x >> 8 & 511), length = 4 + static_cast<u32>(x >> 20 & 15);
      for (u32 k = 0; k < length && n < kInput; ++k, ++n) in[n] = in[from + k];
    } else {
      in[n++] = static_cast<u8>('a' + (x >> 32) % 26);
    }
  }
  u64 total = 0;
  for (; count != 0; --count) {
    for (u32 n = 0; n < 4096; ++n) table[n] = 0;
    u32 o = 0;
    for (u32 n = 0; n + 8 < kInput;) {
      u32 word;
      __builtin_memcpy(&word, in + n, 4);
      u32& slot = table[word * 2654435761u >> 20];
      const u32 candidate = slot;
      slot = n;
      u32 there;
      __builtin_memcpy(&there, in + candidate, 4);
      if (candidate < n && n - candidate < 65536 && there == word) {
        u32 length = 4;
        while (n + length + 4 < kInput && in[candidate + length] == in[n + length]) ++length;
        out[o++] = 0x80;
        out[o++] = static_cast<u8>(n - candidate);
        out[o++] = static_cast<u8>((n - candidate) >> 8);
        out[o++] = static_cast<u8>(length);
        n += length;
      } else {
        out[o++] = in[n++];
      }
    }
    total += o + out[o / 2];
  }
  return total;
}

// Gauss-Seidel sweeps over a small matrix: loads, stores, long dependency chains through divisions.
u64 sse2(u8* buffer, u64 count) {
  double* const m = reinterpret_cast<double*>(buffer);
  for (int n = 0; n < 64 * 64; ++n) m[n] = n % 17;
  for (; count != 0; --count) {
    for (int i = 1; i < 63; ++i) {
      for (int j = 1; j < 63; ++j)
        m[i * 64 + j] = (m[i * 64 + j - 64] + m[i * 64 + j + 64] + m[i * 64 + j - 1] + m[i * 64 + j + 1]) / 4.5 + 0.25;
    }
  }
  double sum = 0;
  for (int n = 0; n < 64 * 64; ++n) sum += m[n];
  return static_cast<u64>(sum * 1000);
}

[[gnu::target("avx2,fma")]] u64 avx2(u8* buffer, u64 count) {
  float* const a = reinterpret_cast<float*>(buffer);
  float* const b = a + 4096;
  for (int n = 0; n < 4096; ++n) a[n] = static_cast<float>(n % 31), b[n] = static_cast<float>(n % 7);
  __m256 sum = _mm256_setzero_ps();
  for (; count != 0; --count) {
    for (int n = 0; n < 4096; n += 16) {
      const __m256 x = _mm256_loadu_ps(a + n), y = _mm256_loadu_ps(a + n + 8);
      const __m256 u = _mm256_fmadd_ps(x, _mm256_set1_ps(0.5f), _mm256_loadu_ps(b + n));
      const __m256 v = _mm256_fmadd_ps(y, _mm256_set1_ps(0.25f), _mm256_loadu_ps(b + n + 8));
      sum = _mm256_add_ps(sum, _mm256_max_ps(u, v));
      _mm256_storeu_ps(a + n, u);
      _mm256_storeu_ps(a + n + 8, v);
    }
  }
  float out[8];
  _mm256_storeu_ps(out, sum);
  u32 bits = 0;
  for (float f : out) {
    u32 word;
    __builtin_memcpy(&word, &f, 4);
    bits = bits * 31 + word;
  }
  return bits;
}

[[gnu::noinline]] u64 fib(u64 n) {
  opaque(n);
  if (n < 2) return n;
  u64 left = fib(n - 1);
  opaque(left);
  return left + fib(n - 2);
}
u64 recursion(u8*, u64 count) {
  u64 sum = 0;
  for (; count != 0; --count) sum += fib(20);
  return sum;
}

template <u32 N>
[[gnu::noinline]] u64 target(u64 x) {
  opaque(x);
  return x * (2 * N + 3) + N;
}
u64 indirect(u8* buffer, u64 count) {
  using Function = u64 (*)(u64);
  Function* const table = reinterpret_cast<Function*>(buffer);
  table[0] = target<0>, table[1] = target<1>, table[2] = target<2>, table[3] = target<3>;
  table[4] = target<4>, table[5] = target<5>, table[6] = target<6>, table[7] = target<7>;
  u64 x = 1;
  for (u64 n = 0; n < count; ++n) {
    u64 which = n & 7;
    opaque(which);
    x = table[which](x);
  }
  return x;
}

// A register machine: one indirect jump for each of its instructions.
u64 interpret(u8* buffer, u64 count) {
  u8* const program = buffer;
  u64* const registers = reinterpret_cast<u64*>(buffer + 4096);
  for (int n = 0; n < 8; ++n) registers[n] = static_cast<u64>(n + 1);
  constexpr u8 kProgram[] = {0,    0x12, 1,    0x23, 2,    0x31, 3,    0x45, 4,    0x10, 0,    0x42, 5,    0x53, 1,
                             0x36, 6,    0x61, 2,    0x07, 3,    0x12, 0,    0x76, 4,    0x25, 5,    0x13, 7,    0x00};
  for (u32 n = 0; n < sizeof kProgram; ++n) program[n] = kProgram[n];
  u64 left = count;
  for (u32 pc = 0;;) {
    const u8 op = program[pc], operands = program[pc + 1];
    pc += 2;
    u64& a = registers[operands >> 4 & 7];
    const u64 b = registers[operands & 7];
    switch (op) {
      case 0:
        a += b;
        break;
      case 1:
        a ^= b;
        break;
      case 2:
        a = a * 3 + b;
        break;
      case 3:
        a -= b;
        break;
      case 4:
        a = a << 3 | b >> 61;
        break;
      case 5:
        a = b > a ? b : a + 1;
        break;
      case 6:
        a |= b & 0xFF;
        break;
      default:
        if (--left == 0) return registers[0] + registers[1] + registers[4];
        pc = 0;
        break;
    }
  }
}

struct Node {
  u64 key;
  Node *left, *right;
};
u64 tree(u8* buffer, u64 count) {
  Node* const nodes = reinterpret_cast<Node*>(buffer);
  u32 used = 0;
  Node* root = nullptr;
  u64 x = 1, found = 0;
  for (u32 n = 0; n < 16384; ++n) {
    x = x * 6364136223846793005ull + 1442695040888963407ull;
    const u64 key = x >> 40;
    Node** at = &root;
    while (*at != nullptr) at = key < (*at)->key ? &(*at)->left : &(*at)->right;
    *at = &nodes[used++];
    **at = {key, nullptr, nullptr};
  }
  for (; count != 0; --count) {
    x = x * 6364136223846793005ull + 1442695040888963407ull;
    const u64 key = x >> 40;
    const Node* at = root;
    while (at != nullptr && at->key != key) at = key < at->key ? at->left : at->right;
    found += at != nullptr ? at->key : 1;
  }
  return found;
}

}  // namespace

extern "C" [[gnu::section(".text.entry"), gnu::used]] u64 bench_kernel(u64 which, u8* buffer, u64 count) {
  switch (which) {
    case 0:
      return alu(buffer, count);
    case 1:
      return collatz(buffer, count);
    case 2:
      return modify_64k(buffer, count);
    case 3:
      return random_8m(buffer, count);
    case 4:
      return sha256(buffer, count);
    case 5:
      return compress(buffer, count);
    case 6:
      return sse2(buffer, count);
    case 7:
      return avx2(buffer, count);
    case 8:
      return recursion(buffer, count);
    case 9:
      return indirect(buffer, count);
    case 10:
      return interpret(buffer, count);
    case 11:
      return tree(buffer, count);
    case 12:
      return large_code(buffer, count);
    default:
      return 0;
  }
}
