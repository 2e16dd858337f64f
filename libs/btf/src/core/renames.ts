/**
 * What kernels have renamed, moved or retyped, so that a refusal can say what happened instead of only what is missing. Versions
 * are those of the mainline; stable and distribution kernels take some changes earlier. Each entry cites the commit.
 */
export interface FieldChange {
  /** The type that had the field: the program's word for it, or the kernel's. */
  readonly type: string;
  readonly field: string;
  /** Where it is now: a field of the same type. Absent when it left the type. */
  readonly now?: string;
  /** It kept its name and became what `hint` says. */
  readonly retyped?: true;
  readonly since: string;
  /** What to write instead, where a name alone does not say it. */
  readonly hint?: string;
}

export interface TypeChange {
  readonly type: string;
  /** The type that took its place. */
  readonly now?: string;
  readonly since: string;
  readonly hint?: string;
}

export const FIELD_CHANGES: readonly FieldChange[] = [
  // cf25e24db61c ("time: Rename tsk->real_start_time to ->start_boottime")
  { type: 'task_struct', field: 'real_start_time', now: 'start_boottime', since: '5.5' },
  // 2f064a59a11f ("sched: Change task_struct::state")
  { type: 'task_struct', field: 'state', now: '__state', since: '5.14' },
  // bcf9033e5449 ("sched: move CPU field back into thread_info if THREAD_INFO_IN_TASK=y")
  { type: 'task_struct', field: 'cpu', since: '5.16', hint: 'use `thread_info.cpu`, or `bpf_get_smp_processor_id()`' },
  // ceeadb83aea2 ("sched: Make struct sched_statistics independent of fair sched class")
  { type: 'sched_entity', field: 'statistics', since: '5.16', hint: 'use `task_struct.stats`' },
  // 736c55a02c47 ("sched/fair: Rename cfs_rq.nr_running into nr_queued")
  { type: 'cfs_rq', field: 'nr_running', now: 'nr_queued', since: '6.14' },
  // 7b8a702d9438 ("sched/fair: Rename h_nr_running into h_nr_queued")
  { type: 'cfs_rq', field: 'h_nr_running', now: 'h_nr_queued', since: '6.14' },
  // 58b9987de86c ("sched/tracing: Remove the redundant 'success' in the sched tracepoint")
  {
    type: 'trace_event_raw_sched_wakeup_template',
    field: 'success',
    since: '5.14',
    hint: 'it was always 1, so leave it out',
  },
  // 60700e38fb68 ("signal: Rename group_exit_task group_exec_task")
  { type: 'signal_struct', field: 'group_exit_task', now: 'group_exec_task', since: '5.17' },
  // f122a08b197d ("capability: just use a 'u64' instead of a 'u32[2]' array")
  { type: 'kernel_cap_struct', field: 'cap', now: 'val', since: '6.3' },

  // da1c55f1b272 ("mmap locking API: rename mmap_sem to mmap_lock")
  { type: 'mm_struct', field: 'mmap_sem', now: 'mmap_lock', since: '5.8' },
  // 763ecb035029 ("mm: remove the vma linked list")
  {
    type: 'mm_struct',
    field: 'mmap',
    since: '6.1',
    hint: 'walk `mm_mt`, or use `bpf_find_vma()` or the task_vma iterator',
  },
  { type: 'vm_area_struct', field: 'vm_next', since: '6.1', hint: 'use the task_vma iterator' },
  // f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter")
  {
    type: 'mm_struct',
    field: 'rss_stat',
    retyped: true,
    since: '6.2',
    hint: 'an array of `percpu_counter`, read as `rss_stat[i].count`, and before it `rss_stat.count[i].counter`',
  },
  // bcfe06bf2622 ("mm: memcontrol: Use helpers to read page's memcg data")
  { type: 'page', field: 'mem_cgroup', now: 'memcg_data', since: '5.11' },
  // 07f910f9b729 ("mm: Remove slab from struct page")
  { type: 'page', field: 'slab_cache', since: '5.17', hint: 'read the page as a `struct slab`' },
  // acc53a0b4c15 ("mm: rename page->index to page->__folio_index")
  { type: 'page', field: 'index', now: '__folio_index', since: '6.16' },

  // 0d02129e76ed ("block: merge struct block_device and struct hd_struct")
  { type: 'block_device', field: 'bd_part', since: '5.11', hint: 'the block_device is the partition itself' },
  // 309dca309fc3 ("block: store a block_device pointer in struct bio")
  { type: 'bio', field: 'bi_disk', now: 'bi_bdev', since: '5.12', hint: 'its disk is `bi_bdev->bd_disk`' },
  // edb0872f44ec ("block: move the bdi from the request_queue to the gendisk")
  { type: 'request_queue', field: 'backing_dev_info', since: '5.15', hint: 'use `disk->bdi`' },
  // f3fa33acca9f ("block: remove the ->rq_disk field in struct request")
  { type: 'request', field: 'rq_disk', since: '5.17', hint: 'use `q->disk`' },
  // 1116b9fa15c0 ("bdev: infrastructure for flags")
  {
    type: 'block_device',
    field: 'bd_partno',
    now: '__bd_flags',
    since: '6.10',
    hint: 'the number of the partition is its lowest byte',
  },

  // 13bc24457850 ("fs: rename i_ctime field to __i_ctime")
  { type: 'inode', field: 'i_ctime', now: '__i_ctime', since: '6.6' },
  // 12cd44023651 ("fs: rename inode i_atime and i_mtime fields")
  { type: 'inode', field: 'i_atime', now: '__i_atime', since: '6.7' },
  { type: 'inode', field: 'i_mtime', now: '__i_mtime', since: '6.7' },
  // 3aa63a569c64 ("fs: switch timespec64 fields in inode to discrete integers")
  ...['i_ctime', '__i_ctime', 'i_atime', '__i_atime', 'i_mtime', '__i_mtime'].map((field) => ({
    type: 'inode',
    field,
    now: `${field.replace(/^__/, '')}_sec`,
    since: '6.11',
    hint: `the nanoseconds are \`${field.replace(/^__/, '')}_nsec\``,
  })),
  // da549bdd15c2 ("dentry: switch the lists of children to hlist")
  { type: 'dentry', field: 'd_subdirs', now: 'd_children', since: '6.8', hint: 'the list is an hlist now' },
  { type: 'dentry', field: 'd_child', now: 'd_sib', since: '6.8', hint: 'the list is an hlist now' },
  // 90ee6ed776c0 ("fs: port files to file_ref")
  { type: 'file', field: 'f_count', now: 'f_ref', since: '6.13' },
  // 58cf9c383c5c ("dcache: back inline names with a struct-wrapped array of unsigned long")
  {
    type: 'dentry',
    field: 'd_iname',
    now: 'd_shortname',
    since: '6.14',
    hint: '`d_name.name` is right for long names too',
  },
  // 8cd54c1c8480 ("iov_iter: separate direction from flavour")
  {
    type: 'iov_iter',
    field: 'type',
    now: 'iter_type',
    since: '5.14',
    hint: 'the direction, once a bit of it, is `data_source`',
  },
  // de4f5fed3f23 ("iov_iter: add iter_iovec() helper")
  { type: 'iov_iter', field: 'iov', now: '__iov', since: '6.4' },
  // 67c0496e87d1 ("kernfs: convert kernfs_node->id from union kernfs_node_id to u64")
  {
    type: 'kernfs_node',
    field: 'id',
    retyped: true,
    since: '5.5',
    hint: 'a u64, and before it a `union kernfs_node_id`',
  },
  // 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent.")
  { type: 'kernfs_node', field: 'parent', now: '__parent', since: '6.15' },
  // 743210386c03 ("cgroup: use cgrp->kn->id as the cgroup ID")
  { type: 'cgroup', field: 'id', since: '5.5', hint: 'use `kn->id`' },
  // 7f203bc89eb6 ("cgroup: Replace cgroup->ancestor_ids[] with ->ancestors[]")
  { type: 'cgroup', field: 'ancestor_ids', now: 'ancestors', since: '6.1', hint: 'the ids are `ancestors[i]->kn->id`' },

  // 354259fa73e2 ("net: remove skb->vlan_present")
  { type: 'sk_buff', field: 'vlan_present', since: '6.2', hint: '`vlan_all` is not 0 where a tag is present' },
  // bc9d3a9f2afc ("net: dst: Switch to rcuref_t reference counting")
  { type: 'dst_entry', field: '__refcnt', now: '__rcuref', since: '6.4' },
  // 6b5f43ea0815 ("inet: move inet->recverr to inet->inet_flags")
  { type: 'inet_sock', field: 'recverr', now: 'inet_flags', since: '6.6', hint: 'it is one bit of them' },

  // ac3b43283923 ("module: replace module_layout with module_memory")
  { type: 'module', field: 'core_layout', now: 'mem', since: '6.4', hint: 'the text is `mem[MOD_TEXT]`' },
  { type: 'module', field: 'init_layout', now: 'mem', since: '6.4', hint: 'the text is `mem[MOD_INIT_TEXT]`' },
];

export const TYPE_CHANGES: readonly TypeChange[] = [
  // 0d02129e76ed ("block: merge struct block_device and struct hd_struct")
  { type: 'hd_struct', now: 'block_device', since: '5.11' },
  // d5869fdc189f ("block: introduce block_rq_error tracepoint")
  { type: 'trace_event_raw_block_rq_complete', now: 'trace_event_raw_block_rq_completion', since: '5.18' },
  // 2c1d697fb8ba ("mm/slab_common: drop kmem_alloc & avoid dereferencing fields when not using")
  {
    type: 'trace_event_raw_kmem_alloc',
    since: '6.1',
    hint: 'there is one for each tracepoint, `trace_event_raw_kmalloc` and `trace_event_raw_kmem_cache_alloc`',
  },
  // 11e9734bcb6a ("mm/slab_common: unify NUMA and UMA version of tracepoints")
  {
    type: 'trace_event_raw_kmem_alloc_node',
    since: '6.1',
    hint: '`trace_event_raw_kmalloc` and `trace_event_raw_kmem_cache_alloc` have the node too',
  },
  // f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter")
  { type: 'mm_rss_stat', since: '6.2', hint: '`mm_struct.rss_stat` is an array of `percpu_counter`' },
  // f122a08b197d ("capability: just use a 'u64' instead of a 'u32[2]' array")
  { type: 'kernel_cap_struct', since: '6.3', hint: '`kernel_cap_t` is an unnamed struct with one u64, `val`' },
  // ac3b43283923 ("module: replace module_layout with module_memory")
  { type: 'module_layout', now: 'module_memory', since: '6.4' },
];
