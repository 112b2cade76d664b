// The code that every processor in the table runs. Freestanding: no library, no writable data.
#pragma once

using u8 = unsigned char;
using u32 = unsigned;
using u64 = unsigned long long;

// 400 KB of distinct code: thousands of small functions, each called once per round.
u64 large_code(u8* buffer, u64 rounds);
