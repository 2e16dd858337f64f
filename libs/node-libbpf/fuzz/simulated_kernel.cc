// SPDX-License-Identifier: Apache-2.0
// bpf(2) for the fuzz build. It takes every map, program and BTF, so that a malformed object is walked to the end of the load on
// any machine, and it reads all the memory that libbpf tells the kernel to read: the sanitizer then sees a wrong pointer or
// length that a real kernel would copy silently, or that the verifier would never let it get to. With BPFLEET_FUZZ_FAIL=n every
// n-th call fails, which leads into libbpf's fallbacks. BPFLEET_FUZZ_KERNEL=simulated turns it on, per call.
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

extern "C" long __real_syscall(long number, ...);
extern "C" FILE* __real_fopen64(const char* path, const char* mode);

namespace {

constexpr uint64_t kMapBytesMax = uint64_t{1} << 28;

struct SimulatedMap {
  uint32_t type, keyBytes, valueBytes, entries, flags;
};

std::mutex mutex;
// By inode: libbpf moves a map to another descriptor once it is made.
std::map<ino_t, SimulatedMap> maps;
uint64_t calls = 0;
volatile uint64_t sink = 0;

void Touch(uint64_t address, uint64_t bytes) {
  const auto* at = reinterpret_cast<const uint8_t*>(address);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < bytes; i++) sum += at[i];
  sink = sink + sum;
}

void TouchText(uint64_t address) {
  if (address != 0) Touch(address, strlen(reinterpret_cast<const char*>(address)) + 1);
}

void WriteLog(uint64_t address, uint32_t bytes, const char* text) {
  if (address == 0 || bytes == 0) return;
  auto* log = reinterpret_cast<char*>(address);
  log[bytes - 1] = '\0';
  snprintf(log, bytes, "%s", text);
}

int Failure(int error) {
  errno = error;
  return -1;
}

const SimulatedMap* MapBehind(uint32_t fd) {
  struct stat file = {};
  if (fstat(static_cast<int>(fd), &file) != 0) return nullptr;
  auto found = maps.find(file.st_ino);
  return found == maps.end() ? nullptr : &found->second;
}

// Sizes that every kernel demands and that libbpf relies on, because it fills such maps with integers of its own.
bool HasSaneSizes(const union bpf_attr* attr) {
  switch (attr->map_type) {
    case BPF_MAP_TYPE_PROG_ARRAY:
    case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
    case BPF_MAP_TYPE_CGROUP_ARRAY:
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
      return attr->key_size == 4 && attr->value_size == 4 && attr->max_entries > 0;
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PERCPU_ARRAY:
    case BPF_MAP_TYPE_STRUCT_OPS:
      return attr->key_size == 4 && attr->value_size > 0 && attr->max_entries > 0;
    case BPF_MAP_TYPE_HASH_OF_MAPS:
      return attr->key_size > 0 && attr->value_size == 4 && attr->max_entries > 0;
    case BPF_MAP_TYPE_UNSPEC:
      return false;
    default:
      return true;
  }
}

int CreateMap(const union bpf_attr* attr) {
  if (!HasSaneSizes(attr)) return Failure(EINVAL);
  int fd = static_cast<int>(__real_syscall(SYS_memfd_create, "simulated-map", MFD_CLOEXEC));
  if (fd < 0) return -1;
  uint64_t bytes = (uint64_t{attr->value_size} + 7) / 8 * 8 * attr->max_entries;
  if (bytes > kMapBytesMax || ftruncate(fd, static_cast<off_t>(std::max<uint64_t>(bytes, 1 << 16))) != 0) {
    close(fd);
    return Failure(E2BIG);
  }
  struct stat file = {};
  fstat(fd, &file);
  maps[file.st_ino] = {attr->map_type, attr->key_size, attr->value_size, attr->max_entries, attr->map_flags};
  return fd;
}

int LoadProgram(const union bpf_attr* attr, bool fails) {
  TouchText(attr->license);
  Touch(attr->insns, uint64_t{attr->insn_cnt} * sizeof(struct bpf_insn));
  Touch(attr->func_info, uint64_t{attr->func_info_cnt} * attr->func_info_rec_size);
  Touch(attr->line_info, uint64_t{attr->line_info_cnt} * attr->line_info_rec_size);
  Touch(attr->core_relos, uint64_t{attr->core_relo_cnt} * attr->core_relo_rec_size);
  // The lines that libbpf looks for at the end of a refused program's log, to explain them.
  WriteLog(attr->log_buf, attr->log_size,
           fails ? "0: (85) call unknown#195896080\ninvalid func unknown#195896080\n"
                   "processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
                 : "");
  return fails ? Failure(EINVAL) : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int DescribeMap(const union bpf_attr* attr, const SimulatedMap& map) {
  struct bpf_map_info facts = {};
  facts.type = map.type;
  facts.key_size = map.keyBytes;
  facts.value_size = map.valueBytes;
  facts.max_entries = map.entries;
  facts.map_flags = map.flags;
  memcpy(reinterpret_cast<void*>(attr->info.info), &facts, std::min<size_t>(attr->info.info_len, sizeof(facts)));
  return 0;
}

int Describe(const union bpf_attr* attr) {
  const SimulatedMap* map = MapBehind(attr->info.bpf_fd);
  if (map != nullptr) return DescribeMap(attr, *map);
  memset(reinterpret_cast<void*>(attr->info.info), 0, attr->info.info_len);
  return 0;
}

int TouchElement(const union bpf_attr* attr) {
  const SimulatedMap* map = MapBehind(attr->map_fd);
  if (map == nullptr) return Failure(EBADF);
  Touch(attr->key, map->keyBytes);
  Touch(attr->value, map->valueBytes);
  return 0;
}

int Simulate(int command, const union bpf_attr* attr) {
  std::lock_guard<std::mutex> guard(mutex);
  const char* every = getenv("BPFLEET_FUZZ_FAIL");
  uint64_t period = every == nullptr ? 0 : strtoull(every, nullptr, 10);
  const bool fails = period != 0 && ++calls % period == 0;
  if (fails && command != BPF_PROG_LOAD) return Failure(calls % 2 == 0 ? EINVAL : EPERM);
  switch (command) {
    case BPF_MAP_CREATE:
      return CreateMap(attr);
    case BPF_PROG_LOAD:
      return LoadProgram(attr, fails);
    case BPF_BTF_LOAD:
      Touch(attr->btf, attr->btf_size);
      WriteLog(attr->btf_log_buf, attr->btf_log_size, "");
      return open("/dev/null", O_RDONLY | O_CLOEXEC);
    case BPF_OBJ_GET_INFO_BY_FD:
      return Describe(attr);
    case BPF_MAP_UPDATE_ELEM:
      return TouchElement(attr);
    case BPF_OBJ_PIN:
      TouchText(attr->pathname);
      return 0;
    case BPF_OBJ_GET:
      TouchText(attr->pathname);
      return Failure(ENOENT);
    case BPF_MAP_FREEZE:
    case BPF_PROG_BIND_MAP:
      return 0;
    case BPF_BTF_GET_NEXT_ID:
      return Failure(ENOENT);
    case BPF_LINK_CREATE:
      return open("/dev/null", O_RDONLY | O_CLOEXEC);
    default:
      return Failure(EINVAL);
  }
}

}  // namespace

extern "C" long __wrap_syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
  // Five arguments are what libbpf ever gives, and what comes in registers.
  long d = va_arg(arguments, long), e = va_arg(arguments, long);
  va_end(arguments);
  const char* kernel = getenv("BPFLEET_FUZZ_KERNEL");
  if (kernel != nullptr && strcmp(kernel, "simulated") == 0) {
    if (number == SYS_bpf) return Simulate(static_cast<int>(a), reinterpret_cast<const union bpf_attr*>(b));
    // A perf event costs milliseconds of RCU waiting; attaching fails one step later.
    if (number == SYS_perf_event_open) return open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  // The real kernel gets no map that would take this machine's memory.
  if (number == SYS_bpf && a == BPF_MAP_CREATE) {
    const auto* attr = reinterpret_cast<const union bpf_attr*>(b);
    uint64_t entries = std::max<uint64_t>(attr->max_entries, 1);
    if ((uint64_t{attr->key_size} + attr->value_size + 1) * entries > kMapBytesMax / 4) return Failure(E2BIG);
  }
  return __real_syscall(number, a, b, c, d, e);
}

// A whole kernel's BTF and symbols take longer to read than everything else of a round together. These name small ones.
extern "C" FILE* __wrap_fopen64(const char* path, const char* mode) {
  const char* instead = nullptr;
  if (strcmp(path, "/sys/kernel/btf/vmlinux") == 0) instead = getenv("BPFLEET_FUZZ_VMLINUX");
  if (strcmp(path, "/proc/kallsyms") == 0) instead = getenv("BPFLEET_FUZZ_KALLSYMS");
  return __real_fopen64(instead != nullptr && *instead != '\0' ? instead : path, mode);
}
