// TEB: what a 64-bit thread finds at GS:0. Only the fields that the kernel writes or reads are named; the rest belongs to user mode.
// [winternl.h and public symbols; offsets checked against the DWARF of Wine 8.0's ntdll]
#pragma once

#include <array>
#include <cstddef>

#include "abi/strings.h"

namespace vitrine::abi {

struct Teb {
  Va exception_list;   // ~0: end of chain
  Va stack_base;       // NtTib.StackBase: above the highest byte
  Va stack_limit;      // lowest committed byte; moved down by the guard page
  u64 sub_system_tib, fiber_data, arbitrary_user_pointer;
  Va self;
  Va environment_pointer;
  ClientId client_id;
  u64 active_rpc_handle;
  Va thread_local_storage;
  Va peb;
  u32 last_error;
  u32 owned_critical_sections;
  std::array<std::byte, 0x290 - 0x70> reserved0;
  // ActivationContextStack: {ActiveFrame, FrameListCache, Flags, NextCookie, StackId}
  Va active_frame;
  ListEntry frame_list_cache;
  std::array<std::byte, 0x2C8 - 0x2A8> reserved1;
  Va activation_context_stack;
  std::array<std::byte, 0x7D8 - 0x2D0> reserved2;
  ClientId real_client_id;
  std::array<std::byte, 0x1258 - 0x7E8> reserved3;
  UnicodeString static_unicode_string;
  std::array<u16, 261> static_unicode_buffer;
  u16 reserved4[3];
  Va deallocation_stack;
  std::array<u64, 64> tls_slots;
  std::array<std::byte, 0x1748 - 0x1680> reserved5;
  u32 guaranteed_stack_bytes;
  u32 reserved6;
};
static_assert(offsetof(Teb, client_id) == 0x40);
static_assert(offsetof(Teb, peb) == 0x60);
static_assert(offsetof(Teb, active_frame) == 0x290);
static_assert(offsetof(Teb, activation_context_stack) == 0x2C8);
static_assert(offsetof(Teb, real_client_id) == 0x7D8);
static_assert(offsetof(Teb, static_unicode_string) == 0x1258);
static_assert(offsetof(Teb, static_unicode_buffer) == 0x1268);
static_assert(offsetof(Teb, deallocation_stack) == 0x1478);
static_assert(offsetof(Teb, tls_slots) == 0x1480);
static_assert(offsetof(Teb, guaranteed_stack_bytes) == 0x1748);

// Wine's ntdll uses four pages: the TEB, then (at +0x2000) the room of a 32-bit TEB followed by its debug buffer.
inline constexpr u64 kTebRegionBytes = 0x4000;

}  // namespace vitrine::abi
