// SPDX-License-Identifier: Apache-2.0
/*
 * bpfleet-reap: unpins what an agent left in the kernel and can no longer answer for.
 *
 * An agent keeps a sheet per device on tmpfs (apps/agent/src/core/lease-sheet.ts writes it): the boot it was written in, its
 * heartbeat, and until when each run may stay attached, in seconds of CLOCK_BOOTTIME. This program is run by a timer, needs
 * neither Node nor the network nor libbpf, and unlinks the pins of
 *   - every run of a device whose agent has not beaten for HEARTBEAT_SECONDS, or has left no readable sheet of this boot;
 *   - each run whose lease has lapsed, whether or not its agent lives.
 * Unlinking the last pin of a link detaches its program (bpf_link_put in kernel/bpf/inode.c), once nobody has it open.
 *
 * It only ever removes below a folder that lies on a bpffs. Exit: 0 done, 1 something could not be removed or read, 2 usage.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define BPF_FS_MAGIC 0xcafe4a11
#define HEARTBEAT_SECONDS 300
#define SHEET_BYTES_MAX (64 * 1024)
#define RUNS_MAX 256
#define NAME_BYTES_MAX 128
#define DEPTH_MAX 4
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct lease {
  char run[NAME_BYTES_MAX];
  long long until_seconds;
};

struct sheet {
  char boot[64];
  long long heartbeat_seconds;
  struct lease runs[RUNS_MAX];
  size_t run_count;
};

static const char* pins = "/sys/fs/bpf/bpfleet";
static const char* sheets = "/run/bpfleet";
static bool dry_run;
static bool failed;

/* Names come from a file system that others may write to: what is no plain letter is shown as a point. */
static const char* shown(const char* name) {
  static char text[NAME_BYTES_MAX];
  size_t at = 0;
  for (; name[at] != '\0' && at < sizeof(text) - 1; at++)
    text[at] = isgraph((unsigned char)name[at]) ? name[at] : '.';
  text[at] = '\0';
  return text;
}

static void complain(const char* what, const char* name) {
  fprintf(stderr, "bpfleet-reap: %s %s: %s\n", what, shown(name), strerror(errno));
  failed = true;
}

static long long boottime_seconds(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
    perror("bpfleet-reap: CLOCK_BOOTTIME");
    exit(1);
  }
  return now.tv_sec;
}

/* Reads a whole small file, with a final NUL. Its length, or -1 with errno. */
static ssize_t read_file(int folder, const char* path, char* text, size_t room) {
  int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return -1;
  size_t length = 0;
  for (;;) {
    ssize_t got = read(fd, text + length, room - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int error = errno;
      close(fd);
      errno = error;
      return -1;
    }
    if (got == 0 || (length += (size_t)got) == room - 1) break;
  }
  close(fd);
  text[length] = '\0';
  return (ssize_t)length;
}

static bool parse_seconds(const char* text, long long* seconds) {
  char* end;
  errno = 0;
  *seconds = strtoll(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *seconds >= 0;
}

static bool parse_line(char* line, struct sheet* sheet) {
  char* rest = NULL;
  const char* word = strtok_r(line, " ", &rest);
  const char* first = strtok_r(NULL, " ", &rest);
  const char* second = strtok_r(NULL, " ", &rest);
  if (word == NULL || first == NULL) return false;
  if (strcmp(word, "boot") == 0) {
    if (strlen(first) >= sizeof(sheet->boot)) return false;
    strcpy(sheet->boot, first);
    return true;
  }
  if (strcmp(word, "heartbeat") == 0) return parse_seconds(first, &sheet->heartbeat_seconds);
  if (strcmp(word, "run") == 0) {
    if (second == NULL || sheet->run_count == RUNS_MAX || strlen(first) >= NAME_BYTES_MAX) return false;
    struct lease* lease = &sheet->runs[sheet->run_count];
    if (!parse_seconds(second, &lease->until_seconds)) return false;
    strcpy(lease->run, first);
    sheet->run_count++;
    return true;
  }
  /* A newer agent may say more. */
  return true;
}

/* A sheet is whole or nothing: it begins with its version and ends with `end`. */
static bool parse_sheet(char* text, struct sheet* sheet) {
  memset(sheet, 0, sizeof(*sheet));
  sheet->heartbeat_seconds = -1;
  char* rest = NULL;
  char* line = strtok_r(text, "\n", &rest);
  if (line == NULL || strcmp(line, "bpfleet-leases 1") != 0) return false;
  while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
    if (strcmp(line, "end") == 0) return sheet->boot[0] != '\0' && sheet->heartbeat_seconds >= 0;
    if (!parse_line(line, sheet)) return false;
  }
  return false;
}

static bool remove_at(int folder, const char* name, int depth);

/* Removes what is in an open folder; takes the descriptor over. */
static bool remove_contents(int fd, int depth) {
  DIR* entries = fdopendir(fd);
  if (entries == NULL) {
    close(fd);
    return false;
  }
  bool all = true;
  struct dirent* entry;
  while ((entry = readdir(entries)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (!remove_at(dirfd(entries), entry->d_name, depth)) all = false;
  }
  closedir(entries);
  return all;
}

static bool remove_at(int folder, const char* name, int depth) {
  if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) return true;
  if (errno != EISDIR && errno != EPERM) return complain("cannot unpin", name), false;
  if (depth == 0) {
    errno = ELOOP;
    return complain("cannot unpin", name), false;
  }
  int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return complain("cannot open", name), false;
  bool emptied = remove_contents(fd, depth - 1);
  if (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return emptied;
  return complain("cannot remove", name), false;
}

static void reap_run(int device, const char* device_name, const char* run, const char* why) {
  printf("%s %s ", dry_run ? "would reap" : "reaping", shown(device_name));
  printf("%s: %s\n", shown(run), why);
  if (!dry_run) remove_at(device, run, DEPTH_MAX);
}

static const struct lease* find_lease(const struct sheet* sheet, const char* run) {
  for (size_t at = 0; at < sheet->run_count; at++)
    if (strcmp(sheet->runs[at].run, run) == 0) return &sheet->runs[at];
  return NULL;
}

/* Why all runs of a device must go, or NULL while its agent answers for them. */
static const char* orphaned(const char* device, const char* boot, long long now, struct sheet* sheet) {
  static char text[SHEET_BYTES_MAX];
  static char path[512];
  if (snprintf(path, sizeof(path), "%s/%s.leases", sheets, device) >= (int)sizeof(path)) return "its name is too long";
  ssize_t length = read_file(AT_FDCWD, path, text, sizeof(text));
  if (length < 0 && errno != ENOENT) {
    /* Not the agent's fault, perhaps: what cannot be read is reported and left alone. */
    complain("cannot read the leases of", device);
    sheet->heartbeat_seconds = now;
    return NULL;
  }
  if (length < 0) return "its agent left no leases";
  if (!parse_sheet(text, sheet)) return "its leases are garbled";
  if (strcmp(sheet->boot, boot) != 0) return "its leases are of another boot";
  if (now - sheet->heartbeat_seconds > HEARTBEAT_SECONDS) return "its agent is dead";
  return NULL;
}

static void reap_device(int root, const char* name, const char* boot) {
  static struct sheet sheet;
  memset(&sheet, 0, sizeof(sheet));
  int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* runs = fd < 0 ? NULL : fdopendir(fd);
  if (runs == NULL) {
    complain("cannot open", name);
    if (fd >= 0) close(fd);
    return;
  }
  long long now = boottime_seconds();
  const char* why = orphaned(name, boot, now, &sheet);
  struct dirent* entry;
  while ((entry = readdir(runs)) != NULL) {
    if (entry->d_name[0] == '.') continue;
    const struct lease* lease = find_lease(&sheet, entry->d_name);
    if (why != NULL)
      reap_run(dirfd(runs), name, entry->d_name, why);
    else if (lease != NULL && lease->until_seconds < now)
      reap_run(dirfd(runs), name, entry->d_name, "its lease has lapsed");
  }
  closedir(runs);
  if (why != NULL && !dry_run) unlinkat(root, name, AT_REMOVEDIR);
}

static int reap_all(void) {
  struct statfs fs;
  int root = open(pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* Nothing was ever pinned here. */
  if (root < 0 && errno == ENOENT) return 0;
  if (root < 0 || fstatfs(root, &fs) != 0) {
    complain("cannot open", pins);
    return 1;
  }
  if ((unsigned int)fs.f_type != BPF_FS_MAGIC) {
    fprintf(stderr, "bpfleet-reap: %s is not on a bpf file system: nothing is removed there\n", pins);
    return 1;
  }
  char boot[64];
  if (read_file(AT_FDCWD, BOOT_ID, boot, sizeof(boot)) <= 0) {
    complain("cannot read", BOOT_ID);
    return 1;
  }
  boot[strcspn(boot, "\n")] = '\0';
  DIR* devices = fdopendir(root);
  if (devices == NULL) {
    complain("cannot read", pins);
    return 1;
  }
  struct dirent* entry;
  while ((entry = readdir(devices)) != NULL)
    if (entry->d_name[0] != '.') reap_device(dirfd(devices), entry->d_name, boot);
  closedir(devices);
  return failed ? 1 : 0;
}

int main(int argc, char** argv) {
  for (int at = 1; at < argc; at++) {
    if (strcmp(argv[at], "--dry-run") == 0) {
      dry_run = true;
    } else if (strcmp(argv[at], "--pins") == 0 && at + 1 < argc) {
      pins = argv[++at];
    } else if (strcmp(argv[at], "--leases") == 0 && at + 1 < argc) {
      sheets = argv[++at];
    } else {
      fprintf(stderr, "usage: bpfleet-reap [--dry-run] [--pins FOLDER] [--leases FOLDER]\n");
      return 2;
    }
  }
  return reap_all();
}
