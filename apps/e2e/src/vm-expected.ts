/** Which of the purpose-made probes (`MADE`) attach where. That for a hook which kernels no longer have attaches nowhere. */
export const EVERYWHERE = ['fork_by_tracepoint', 'unlink_by_kprobe', 'packets_by_cgroup'];
export const FROM_6_1 = ['tai_by_helper', 'with_user_ring'];
/** arm64 has direct calls, on which these two stand, from 6.4 on: before, they load and cannot attach (errno 524). */
export const FROM_6_4 = ['unlink_by_fentry', 'unlink_by_lsm'];
/** tc programs are attached by links, which came with 6.6; older kernels get none. */
export const FROM_6_6 = ['packets_by_tc'];
/** These want a kernel that shows its types, and for the second, one that compiles programs. */
export const WITH_BTF = ['enter_by_tp_btf'];
export const WITH_JIT = ['add_by_loop'];

export const MODERN = [...EVERYWHERE, ...FROM_6_1, ...WITH_BTF, ...WITH_JIT];
