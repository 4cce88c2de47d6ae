# SPDX-License-Identifier: MIT

# Signatures, typed calls, replacement.
dist_man_MANS += \
	man/ftr_call_ip.3 \
	man/ftr_call_original.3 \
	man/ftr_closure_free.3 \
	man/ftr_closure_new.3 \
	man/ftr_group_set_typed.3 \
	man/ftr_replace.3 \
	man/ftr_replace_many.3 \
	man/ftr_replace_typed.3 \
	man/ftr_restore.3 \
	man/ftr_restore_many.3 \
	man/ftr_signature_free.3 \
	man/ftr_signature_parse.3
