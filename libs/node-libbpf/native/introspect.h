// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <string>

// What the kernel tells about an object that is open as a descriptor. Each returns an object or -errno.
Napi::Value ProgramFacts(Napi::Env env, int fd);
Napi::Value LinkFacts(Napi::Env env, int fd);

// "map", "program", "link" or "btf" by the kernel's name of the descriptor; empty for anything else.
std::string KindOf(int fd);

// libbpf's name of an enum bpf_link_type; `type_N` for one that it does not know.
std::string LinkTypeName(uint32_t type);
