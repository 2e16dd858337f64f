/** A field that kernels have moved or renamed, so that a refusal can say what happened instead of only what is missing. */
export interface Rename {
  readonly type: string;
  readonly field: string;
  /** Where it is now: a field of the same type. Absent when it left the type. */
  readonly now?: string;
  readonly since: string;
  /** Said when the field left its type. */
  readonly hint?: string;
}

export const RENAMES: readonly Rename[] = [
  // 2f064a59a11f ("sched: Change task_struct::state")
  { type: 'task_struct', field: 'state', now: '__state', since: '5.14' },
  // bcf9033e5449 ("sched: move CPU field back into thread_info if THREAD_INFO_IN_TASK=y")
  { type: 'task_struct', field: 'cpu', since: '5.16', hint: 'use `thread_info.cpu`, or `bpf_get_smp_processor_id()`' },
  // 309dca309fc3 ("block: store a block_device pointer in struct bio")
  { type: 'bio', field: 'bi_disk', now: 'bi_bdev', since: '5.12' },
  // f3fa33acca9f ("block: remove the ->rq_disk field in struct request")
  { type: 'request', field: 'rq_disk', since: '5.17', hint: 'use `q->disk`' },
  // 13bc24457850 ("fs: rename i_ctime field to __i_ctime")
  { type: 'inode', field: 'i_ctime', now: '__i_ctime', since: '6.6' },
  // 12cd44023651 ("fs: rename inode i_atime and i_mtime fields")
  { type: 'inode', field: 'i_atime', now: '__i_atime', since: '6.7' },
  { type: 'inode', field: 'i_mtime', now: '__i_mtime', since: '6.7' },
  // 3aa63a569c64 ("fs: switch timespec64 fields in inode to discrete integers")
  { type: 'inode', field: 'i_ctime', now: 'i_ctime_sec', since: '6.11' },
  { type: 'inode', field: 'i_atime', now: 'i_atime_sec', since: '6.11' },
  { type: 'inode', field: 'i_mtime', now: 'i_mtime_sec', since: '6.11' },
  // ac3b43283923 ("module: replace module_layout with module_memory")
  { type: 'module', field: 'core_layout', now: 'mem', since: '6.4' },
  // 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent.")
  { type: 'kernfs_node', field: 'parent', now: '__parent', since: '6.15' },
];
