// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

// libbpf prints through one callback for the whole process. Ours keeps the last lines of the calling thread, so that each
// JavaScript environment (each runs on a thread of its own) sees only what its own call caused.
void InstallLibbpfLog();

// The lines since the last take, oldest first, and forgets them. At most 16 KiB are kept; the oldest go first.
std::string TakeLibbpfLog();
