// SPDX-License-Identifier: Apache-2.0
// Distributions build libbpf.a and libelf.a for executables (PIE), not for shared objects such as an addon. Two things in
// them cannot be linked here as they are, and both are replaced in this file; everything else is position independent.
//
// 1. libbpf reads the C library's `stderr` as a datum of its own module. The linker sends that symbol here (--wrap=stderr in
// binding.gyp). It is only written by libbpf's default print function, which libbpf_log.cc replaces.
//
// 2. libelf's one thread-local, its error number, uses the local-exec TLS model, which a shared object cannot have. Three
// functions take the place of that one object file (elf_error.o), so that the linker never pulls it in. libbpf prints
// elf_errmsg's text; the number is enough to look it up in elfutils.
#include <gelf.h>

#include <cstdio>

namespace {

thread_local int lastError = 0;
thread_local char text[32];

FILE* OpenStandardError() { return fdopen(2, "w"); }

}  // namespace

extern "C" {
FILE* __wrap_stderr = OpenStandardError();
}

extern "C" void __libelf_seterrno(int value) { lastError = value; }

extern "C" int elf_errno(void) {
  int error = lastError;
  lastError = 0;
  return error;
}

// 0 asks for the last error if there is one, -1 for the last error in any case (libelf.h).
extern "C" const char* elf_errmsg(int error) {
  if (error == 0 && lastError == 0) return nullptr;
  snprintf(text, sizeof(text), "libelf error %d", error == 0 || error == -1 ? lastError : error);
  return text;
}
