/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line's options about the machine as a whole.  Options about one part (chardevs, drives,
 * networks, monitors, tracing, migration) stand beside that part.
 */
#include "main/main.h"

#include <stdio.h>
#include <string.h>

#include "api/option.h"
#include "config-host.h"
#include "system/accel.h"
#include "system/cpu.h"
#include "system/runstate.h"
#include "util/error.h"

StartupRequest startup;

void startup_init(void)
{
    startup.accels = g_ptr_array_new_with_free_func(g_free);
    startup.objects = g_ptr_array_new_with_free_func(g_free);
    startup.devices = g_ptr_array_new_with_free_func(g_free);
    startup.globals = g_ptr_array_new_with_free_func(g_free);
    startup.disk_images = g_ptr_array_new_with_free_func(g_free);
    startup.data_dirs = g_ptr_array_new_with_free_func(g_free);
    startup.config.numa = g_array_new(false, true, sizeof(NumaNode));
    startup.config.smp_cpus = 1;
    startup.config.max_cpus = 1;
}

static bool replace(char **where, const char *value)
{
    g_free(*where);
    *where = g_strdup(value);
    return true;
}

static bool append(GPtrArray *where, const char *value)
{
    g_ptr_array_add(where, g_strdup(value));
    return true;
}

/* --- machine --- */

static bool parse_machine(const char *value, GError **error)
{
    g_autofree char *rest = NULL;

    if (!startup.machine) {
        return replace(&startup.machine, value);
    }
    /* a second -machine adds to the first: "-machine virt -machine acpi=off" */
    rest = startup.machine;
    if (strchr(value, '=') && !strstr(value, "type=")) {
        startup.machine = g_strdup_printf("%s,%s", rest, value);
    } else {
        startup.machine = g_strdup(value);
    }
    return true;
}
OPTION(machine, .name = "machine", .alias = "M", .arg = "[type=]NAME[,PROPERTY=VALUE...]",
       .section = "Machine", .help = "board and its properties; 'help' lists the boards",
       .parse = parse_machine, .answer = answer_machine);

static bool parse_cpu(const char *value, GError **error)
{
    const char *comma = strchr(value, ',');

    g_free(startup.config.cpu_model);
    g_free(startup.config.cpu_options);
    startup.config.cpu_model = comma ? g_strndup(value, comma - value) : g_strdup(value);
    startup.config.cpu_options = comma ? g_strdup(comma + 1) : NULL;
    return true;
}
OPTION(cpu, .name = "cpu", .arg = "MODEL[,PROPERTY=VALUE...]", .section = "Machine",
       .help = "model of the vCPUs; 'help' lists the models", .parse = parse_cpu, .answer = answer_cpu);

static bool parse_accel(const char *value, GError **error)
{
    return append(startup.accels, value);
}
OPTION(accel, .name = "accel", .arg = "NAME[,PROPERTY=VALUE...]", .section = "Machine",
       .help = "how vCPUs run: tcg or qtest; given several times, the first usable one", .parse = parse_accel,
       .answer = answer_accel);

enum { MAX_RAM_TIB = 64, MAX_RAM_SLOTS = 256 };

static bool check_memory(GError **error)
{
    const MachineConfig *config = &startup.config;
    uint64_t most = MAX(config->ram_size, config->max_ram_size);

    if (most >> 40 > MAX_RAM_TIB || (most >> 40 == MAX_RAM_TIB && most & ((UINT64_C(1) << 40) - 1))) {
        return fail(error, "a machine has at most %d TiB of RAM", MAX_RAM_TIB);
    }
    if (config->max_ram_size && config->max_ram_size < config->ram_size) {
        return fail(error, "maxmem is less than the size");
    }
    return config->ram_slots <= MAX_RAM_SLOTS ||
           fail(error, "a machine has at most %d memory slots", MAX_RAM_SLOTS);
}

/* Sizes of -m count in MiB when they have no suffix, unlike those of any other option. */
static bool parse_memory(const char *value, GError **error)
{
    g_autoptr(GPtrArray) pairs = options_split(value, "size", error);

    if (pairs && !pairs->len) {
        return fail(error, "the size is missing");
    }

    for (guint i = 0; pairs && i < pairs->len; i++) {
        const KeyValue *kv = pairs->pdata[i];
        bool ok;

        if (!kv->value) {
            return fail(error, "'%s' needs a value", kv->key);
        } else if (!strcmp(kv->key, "size")) {
            ok = parse_size(kv->value, 20, &startup.config.ram_size, error) &&
                 (startup.config.ram_size || fail(error, "a machine needs RAM"));
        } else if (!strcmp(kv->key, "maxmem")) {
            ok = parse_size(kv->value, 20, &startup.config.max_ram_size, error);
        } else if (!strcmp(kv->key, "slots")) {
            ok = parse_u64(kv->value, &startup.config.ram_slots, error);
        } else {
            return fail(error, "unknown key '%s' (size, maxmem and slots are known)", kv->key);
        }
        if (!ok) {
            return false;
        }
    }
    return pairs && check_memory(error);
}
OPTION(memory, .name = "m", .arg = "[size=]MEGS[,slots=N][,maxmem=SIZE]", .section = "Machine",
       .help = "RAM of the machine, and room to add more while it runs", .parse = parse_memory);

typedef struct SmpArgs {
    uint32_t cpus, maxcpus, sockets, clusters, cores, threads;
} SmpArgs;
static const Field smp_args[] = {
    F_U32(SmpArgs, cpus, "cpus", .min = 1, .max = 512, .optional = true),
    F_U32(SmpArgs, maxcpus, "maxcpus", .min = 1, .max = 512, .optional = true),
    F_U32(SmpArgs, sockets, "sockets", .min = 1, .max = 512, .optional = true),
    F_U32(SmpArgs, clusters, "clusters", .min = 1, .max = 512, .optional = true),
    F_U32(SmpArgs, cores, "cores", .min = 1, .max = 512, .optional = true),
    F_U32(SmpArgs, threads, "threads", .min = 1, .max = 512, .optional = true),
    FIELD_END,
};

static bool parse_smp(const char *value, GError **error)
{
    SmpArgs args = {0};
    uint64_t product;

    if (!fields_parse_options(smp_args, &args, value, "cpus", error)) {
        return false;
    }
    product =
        (uint64_t)MAX(args.sockets, 1) * MAX(args.clusters, 1) * MAX(args.cores, 1) * MAX(args.threads, 1);
    if (!args.cpus) {
        args.cpus = args.maxcpus ? args.maxcpus : product;
    }
    if (!args.maxcpus) {
        args.maxcpus = MAX(args.cpus, product > 1 ? product : 0);
    }
    if (args.maxcpus < args.cpus) {
        return fail(error, "maxcpus=%u is less than cpus=%u", args.maxcpus, args.cpus);
    }
    if (args.maxcpus % product || (args.sockets && args.cores && args.threads && args.maxcpus != product)) {
        return fail(error, "sockets, clusters, cores and threads make %" PRIu64 " CPUs, not %u", product,
                    args.maxcpus);
    }
    startup.config.smp_cpus = args.cpus;
    startup.config.max_cpus = args.maxcpus;
    return true;
}
OPTION(smp, .name = "smp", .arg = "[cpus=]N[,maxcpus=N][,sockets=N][,cores=N][,threads=N]",
       .section = "Machine", .help = "number of vCPUs", .parse = parse_smp);

typedef struct NumaArgs {
    uint16_t nodeid;
    char *memdev, *mem, *cpus;
} NumaArgs;
static const Field numa_args[] = {
    F_U16(NumaArgs, nodeid, "nodeid", .optional = true, .max = 127),
    F_STRING(NumaArgs, memdev, "memdev", .optional = true),
    F_STRING(NumaArgs, mem, "mem", .optional = true),
    F_STRING(NumaArgs, cpus, "cpus", .optional = true),
    FIELD_END,
};

static bool parse_cpu_range(const char *text, NumaNode *node, GError **error)
{
    int used = 0;

    if (!text) {
        return true;
    }
    if (sscanf(text, "%d-%d%n", &node->first_cpu, &node->last_cpu, &used) == 2 && !text[used]) {
        return true;
    }
    if (sscanf(text, "%d%n", &node->first_cpu, &used) == 1 && !text[used]) {
        node->last_cpu = node->first_cpu;
        return true;
    }
    return fail(error, "'cpus=%s' is neither a number nor a range like '0-3'", text);
}

static bool parse_numa(const char *value, GError **error)
{
    NumaArgs args = {0};
    NumaNode node = {.first_cpu = -1, .last_cpu = -1};
    bool ok;

    if (strncmp(value, "node", 4) || (value[4] && value[4] != ',')) {
        return fail(error, "only 'node' is known");
    }
    if (!fields_parse_options(numa_args, &args, value[4] ? value + 5 : "", NULL, error)) {
        return false;
    }
    node.memdev = g_steal_pointer(&args.memdev);
    ok =
        (!args.mem || parse_size(args.mem, 20, &node.mem, error)) && parse_cpu_range(args.cpus, &node, error);
    fields_clear(numa_args, &args);
    if (!ok) {
        g_free(node.memdev);
        return false;
    }
    g_array_append_val(startup.config.numa, node);
    return true;
}
OPTION(numa, .name = "numa", .arg = "node[,memdev=ID][,cpus=FIRST[-LAST]]", .section = "Machine",
       .help = "a NUMA node and the memory back end it has", .parse = parse_numa);

/* --- what it boots --- */

static bool parse_bios(const char *value, GError **error)
{
    return replace(&startup.config.bios, value);
}
OPTION(bios, .name = "bios", .arg = "FILE|default|none", .section = "Boot",
       .help = "firmware (default: OpenSBI)", .parse = parse_bios);

static bool parse_kernel(const char *value, GError **error)
{
    return replace(&startup.config.kernel, value);
}
OPTION(kernel, .name = "kernel", .arg = "FILE", .section = "Boot",
       .help = "kernel: a riscv64 Image or ELF file", .parse = parse_kernel);

static bool parse_initrd(const char *value, GError **error)
{
    return replace(&startup.config.initrd, value);
}
OPTION(initrd, .name = "initrd", .arg = "FILE", .section = "Boot", .help = "initial RAM disk",
       .parse = parse_initrd);

static bool parse_append(const char *value, GError **error)
{
    return replace(&startup.config.append, value);
}
OPTION(append, .name = "append", .arg = "TEXT", .section = "Boot", .help = "the kernel's command line",
       .parse = parse_append);

static bool parse_dtb(const char *value, GError **error)
{
    return replace(&startup.config.dtb, value);
}
OPTION(dtb, .name = "dtb", .arg = "FILE", .section = "Boot",
       .help = "device tree to use instead of the board's", .parse = parse_dtb);

typedef struct BootArgs {
    char *order, *once;
    bool menu, strict;
} BootArgs;
static const Field boot_args[] = {
    F_STRING(BootArgs, order, "order", .optional = true),
    F_STRING(BootArgs, once, "once", .optional = true),
    F_BOOL(BootArgs, menu, "menu", .optional = true),
    F_BOOL(BootArgs, strict, "strict", .optional = true),
    FIELD_END,
};

/* Well-formed requests are taken, since scripts for other boards make them; there is nobody to carry them
 * out. */
static bool parse_boot(const char *value, GError **error)
{
    BootArgs args = {0};
    bool ok = fields_parse_options(boot_args, &args, value, "order", error);

    if (ok && (args.order || args.once || args.menu)) {
        warn_report("-boot %s: the board has no boot order or menu; firmware and kernel decide", value);
    }
    fields_clear(boot_args, &args);
    return ok;
}
OPTION(boot, .name = "boot", .arg = "[order=]ORDER[,menu=off][,strict=on|off]", .section = "Boot",
       .help = "accepted for compatibility: firmware and kernel decide", .parse = parse_boot);

static bool parse_data_dir(const char *value, GError **error)
{
    return g_file_test(value, G_FILE_TEST_IS_DIR) ? append(startup.data_dirs, value)
                                                  : fail(error, "'%s' is not a folder", value);
}
OPTION(data_dir, .name = "L", .arg = "FOLDER", .section = "Boot",
       .help = "another place to look for firmware", .parse = parse_data_dir);

static bool parse_smbios(const char *value, GError **error)
{
    return fail(error, "there are no SMBIOS tables on this machine; the guest gets a device tree");
}
OPTION(smbios, .name = "smbios", .arg = "...", .section = "Boot", .help = "not supported",
       .parse = parse_smbios);

/* --- devices and objects --- */

static bool parse_device(const char *value, GError **error)
{
    return append(startup.devices, value);
}
OPTION(device, .name = "device", .arg = "TYPE[,PROPERTY=VALUE...]", .section = "Devices",
       .help = "adds a device; 'help' lists the types, 'TYPE,help' its properties", .parse = parse_device,
       .answer = answer_device);

static bool parse_object(const char *value, GError **error)
{
    return append(startup.objects, value);
}
OPTION(object, .name = "object", .arg = "TYPE,id=ID[,PROPERTY=VALUE...]", .section = "Devices",
       .help = "adds a memory back end or another object; 'help' lists the types", .parse = parse_object,
       .answer = answer_object);

static bool parse_global(const char *value, GError **error)
{
    return append(startup.globals, value);
}
OPTION(global, .name = "global", .arg = "TYPE.PROPERTY=VALUE", .section = "Devices",
       .help = "default of a property for every device of a type", .parse = parse_global);

static bool parse_nothing(const char *value, GError **error)
{
    return true;
}
static bool parse_keyboard(const char *value, GError **error)
{
    return *value || fail(error, "the name of a layout is missing");
}
OPTION(keyboard, .name = "k", .arg = "LAYOUT", .section = "Devices",
       .help = "accepted for compatibility: there is no keyboard", .parse = parse_keyboard);

OPTION(nodefaults, .name = "nodefaults", .section = "Devices", .help = "no default devices",
       .parse = parse_nothing);
OPTION(no_user_config, .name = "no-user-config", .section = "Devices",
       .help = "accepted: there are no configuration files", .parse = parse_nothing);

static bool parse_none_only(const char *value, GError **error)
{
    return !strcmp(value, "none") || g_str_has_prefix(value, "none,") ||
           fail(error, "'%s' is not there; only 'none'", value);
}
OPTION(vga, .name = "vga", .arg = "none", .section = "Devices", .help = "graphics card",
       .parse = parse_none_only);
OPTION(audiodev, .name = "audiodev", .arg = "none", .section = "Devices", .help = "sound",
       .parse = parse_none_only);

/* --- the process --- */

static bool parse_paused(const char *value, GError **error)
{
    autostart = false;
    return true;
}
OPTION(paused, .name = "S", .section = "Process",
       .help = "starts with the vCPUs stopped ('cont' starts them)", .parse = parse_paused);

static bool parse_no_reboot(const char *value, GError **error)
{
    no_reboot = true;
    return true;
}
OPTION(no_reboot, .name = "no-reboot", .section = "Process", .help = "ends when the guest reboots",
       .parse = parse_no_reboot);

static bool parse_no_shutdown(const char *value, GError **error)
{
    no_shutdown = true;
    return true;
}
OPTION(no_shutdown, .name = "no-shutdown", .section = "Process",
       .help = "stops instead of ending at power-off", .parse = parse_no_shutdown);

static bool parse_pidfile(const char *value, GError **error)
{
    return *value ? replace(&startup.pidfile, value) : fail(error, "the name of a file is missing");
}
OPTION(pidfile, .name = "pidfile", .arg = "FILE", .section = "Process", .help = "writes the process id there",
       .parse = parse_pidfile);

static bool parse_daemonize(const char *value, GError **error)
{
    startup.daemonize = true;
    return true;
}
OPTION(daemonize, .name = "daemonize", .section = "Process",
       .help = "goes to the background once the machine is set up", .parse = parse_daemonize);

static bool parse_run_with(const char *value, GError **error)
{
    typedef struct RunWithArgs {
        bool exit_with_parent;
    } RunWithArgs;
    static const Field run_with_args[] = {
        F_BOOL(RunWithArgs, exit_with_parent, "exit-with-parent", .optional = true),
        FIELD_END,
    };
    RunWithArgs args = {0};

    if (!fields_parse_options(run_with_args, &args, value, NULL, error)) {
        return false;
    }
    startup.exit_with_parent = args.exit_with_parent;
    return true;
}
OPTION(run_with, .name = "run-with", .arg = "exit-with-parent=on|off", .section = "Process",
       .help = "ends when the parent process ends", .parse = parse_run_with);

static bool parse_uuid(const char *value, GError **error)
{
    unsigned byte;

    if (strlen(value) != 36 || !g_uuid_string_is_valid(value)) {
        return fail(error, "'%s' is no UUID like 550e8400-e29b-41d4-a716-446655440000", value);
    }
    for (unsigned i = 0, n = 0; n < 16; n++, i += 2) {
        i += value[i] == '-';
        sscanf(value + i, "%2x", &byte);
        startup.config.uuid[n] = byte;
    }
    startup.config.has_uuid = true;
    return true;
}
OPTION(uuid, .name = "uuid", .arg = "UUID", .section = "Process", .help = "identity of the machine",
       .parse = parse_uuid);

static bool parse_name(const char *value, GError **error)
{
    return replace(&startup.config.name, g_str_has_prefix(value, "guest=") ? value + 6 : value);
}
OPTION(name, .name = "name", .arg = "NAME", .section = "Process",
       .help = "name of the machine, for query-name", .parse = parse_name);

static bool parse_rtc(const char *value, GError **error)
{
    if (!strcmp(value, "base=utc") || g_str_has_prefix(value, "base=utc,")) {
        return true;
    }
    return fail(error, "'%s' is not supported; the clock starts at the host's UTC time (base=utc)", value);
}
OPTION(rtc, .name = "rtc", .arg = "base=utc", .section = "Machine", .help = "where the guest's clock starts",
       .parse = parse_rtc);

static char *answer_version(const char *value)
{
    return g_strdup("Godwit emulator version " GODWIT_VERSION "\n");
}
OPTION(version, .name = "version", .section = "Process", .help = "prints the version",
       .answer = answer_version);

static char *answer_help(const char *value)
{
    g_autofree char *text = options_help();

    return g_strconcat("usage: godwit-system-riscv64 [OPTION...] [DISK-IMAGE...]\n\n", text, NULL);
}
OPTION(help, .name = "help", .alias = "h", .section = "Process", .help = "prints this text",
       .answer = answer_help);
