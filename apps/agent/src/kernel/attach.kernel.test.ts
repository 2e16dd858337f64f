import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { openObject } from '@bpfleet/node-libbpf';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../testing/compile.js';
import { attachProgram, type NamedLink } from './attach.js';

/** Each lets everything pass. */
const SOURCE = `
  #include <linux/bpf.h>
  #include <bpf/bpf_helpers.h>
  #define PASSES(name, section, what) SEC(section) int name(struct what *ctx) { return 1; }
  PASSES(getsockopt, "cgroup/getsockopt", bpf_sockopt)
  PASSES(setsockopt, "cgroup/setsockopt", bpf_sockopt)
  PASSES(sysctl, "cgroup/sysctl", bpf_sysctl)
  PASSES(device, "cgroup/dev", bpf_cgroup_dev_ctx)
  PASSES(sock_create, "cgroup/sock_create", bpf_sock)
  PASSES(connect4, "cgroup/connect4", bpf_sock_addr)
  PASSES(egress, "cgroup_skb/egress", __sk_buff)
  PASSES(ops, "sockops", bpf_sock_ops)
  PASSES(lookup, "sk_lookup", bpf_sk_lookup)
  PASSES(shaped, "tc", __sk_buff)
  PASSES(lost, "raw_tp/no_such_tracepoint", bpf_raw_tracepoint_args)
  PASSES(unlisted, "tracepoint/sched/no_such_event", bpf_raw_tracepoint_args)
  char LICENSE[] SEC("license") = "GPL";`;

describeWithKernel('programs that policy allows, by no more than their section', ['root', 'bpf', 'clang'], () => {
  let object: ReturnType<ReturnType<typeof openObject>['load']>;
  let links: NamedLink[] = [];

  beforeAll(() => {
    object = openObject(compileBpf(SOURCE)).load();
  });
  afterAll(() => object?.close());
  afterEach(() => {
    for (const { link } of links) link.detach();
    links = [];
  });

  it.each([
    ...['getsockopt', 'setsockopt', 'sysctl', 'device', 'sock_create', 'connect4', 'egress', 'ops'],
    ...['lookup'],
  ])('%s', (name) => {
    links = attachProgram(object.program(name), {});
    expect(links).toHaveLength(1);
  });

  it.each(['lost', 'unlisted'])('but %s, whose hook this kernel does not have', (name) => {
    expect(() => attachProgram(object.program(name), {})).toThrow(
      expect.objectContaining({ code: 'HOOK_MISSING', message: expect.stringMatching(/no_such_(tracepoint|event)$/) }),
    );
  });

  // A manifest that lacks it is not published.
  it.each([
    ['network interface', {}],
    ['direction', { interface: 'lo' }],
  ])('but tc, where the manifest names no %s', (lacks, options) => {
    expect(() => attachProgram(object.program('shaped'), options)).toThrow(
      expect.objectContaining({ code: 'ATTACH_FAILED', message: expect.stringContaining(`names no ${lacks}`) }),
    );
  });
});
