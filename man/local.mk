# SPDX-License-Identifier: MIT

# A page for each public function; those that share one are links (.so).
dist_man_MANS = \
	man/ftr.7 \
	man/ftr_dump.3 \
	man/ftr_entry_data.3 \
	man/ftr_exits_exclude.3 \
	man/ftr_exits_excluded.3 \
	man/ftr_group_attach.3 \
	man/ftr_group_attached.3 \
	man/ftr_group_data.3 \
	man/ftr_group_detach.3 \
	man/ftr_group_detach_async.3 \
	man/ftr_group_exclude.3 \
	man/ftr_group_filter.3 \
	man/ftr_group_filter_ips.3 \
	man/ftr_group_for_each.3 \
	man/ftr_group_free.3 \
	man/ftr_group_limit_threads.3 \
	man/ftr_group_missed.3 \
	man/ftr_group_name.3 \
	man/ftr_group_new.3 \
	man/ftr_group_update.3 \
	man/ftr_handle_trap.3 \
	man/ftr_init.3 \
	man/ftr_last_error.3 \
	man/ftr_module_register.3 \
	man/ftr_module_unregister.3 \
	man/ftr_regs_arg.3 \
	man/ftr_regs_flags.3 \
	man/ftr_regs_ip.3 \
	man/ftr_regs_override_return.3 \
	man/ftr_regs_pt_regs.3 \
	man/ftr_regs_return_value.3 \
	man/ftr_regs_return_value2.3 \
	man/ftr_regs_return_x87.3 \
	man/ftr_regs_set_arg.3 \
	man/ftr_regs_set_ip.3 \
	man/ftr_regs_set_return_value.3 \
	man/ftr_regs_set_return_value2.3 \
	man/ftr_regs_set_return_x87.3 \
	man/ftr_regs_sp.3 \
	man/ftr_regs_unwound.3 \
	man/ftr_regs_vector.3 \
	man/ftr_shutdown.3 \
	man/ftr_site_count.3 \
	man/ftr_site_find.3 \
	man/ftr_site_for_each.3 \
	man/ftr_site_function.3 \
	man/ftr_site_groups.3 \
	man/ftr_site_ip.3 \
	man/ftr_site_kind.3 \
	man/ftr_site_module.3 \
	man/ftr_site_name.3 \
	man/ftr_sites_refresh.3 \
	man/ftr_stats_get.3 \
	man/ftr_strerror.3 \
	man/ftr_update.3 \
	man/ftr_version_string.3

include man/probes.mk
include man/typed.mk

man_tests = man/test-pages.sh man/test-format.sh
TESTS += $(man_tests)
EXTRA_DIST += $(man_tests) man/prototypes.awk
