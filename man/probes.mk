# SPDX-License-Identifier: MIT

# Probes.
dist_man_MANS += \
	man/ftr_probe_addr.3 \
	man/ftr_probe_data.3 \
	man/ftr_probe_disable.3 \
	man/ftr_probe_disable_many.3 \
	man/ftr_probe_enable.3 \
	man/ftr_probe_enable_many.3 \
	man/ftr_probe_free.3 \
	man/ftr_probe_hits.3 \
	man/ftr_probe_kind.3 \
	man/ftr_probe_missed.3 \
	man/ftr_probe_new.3
