{
  "targets": [
    {
      "target_name": "bpf",
      "sources": [
        "native/binding.cc",
        "native/libbpf_log.cc",
        "native/object.cc",
        "native/program.cc",
        "native/create_map.cc",
        "native/map.cc",
        "native/link.cc",
        "native/attach.cc",
        "native/tc.cc",
        "native/ring.cc",
        "native/user_ring.cc",
        "native/perf.cc",
        "native/system.cc",
        "native/introspect.cc",
        "native/probe.cc",
        "native/waker.cc",
        "native/kallsyms.cc"
      ],
      "include_dirs": ["<!(node native/link-inputs.mjs include)", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_CPP_EXCEPTIONS",
        "NODE_ADDON_API_CPP_EXCEPTIONS_ALL",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-fvisibility=hidden"],
      "libraries": ["<!@(node native/link-inputs.mjs libraries)"],
      "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,--wrap=ioctl", "-Wl,--version-script=<(module_root_dir)/native/exports.map", "-Wl,--gc-sections"]
    }
  ]
}
