# SPDX-License-Identifier: MIT
# What compilers make for x86_64.

machine=
clang3="before=0f1f.."
clang5="before=0f1f4400.. pad=5"
clang8="before=0f1f8400........ pad=8"
clang16="before=2e660f1f8400........660f1f4400.. pad=16"
clang7_2="before=0f1f4400.. pad=5"
# Outputs in which gcc can call __fentry__ position-independently.
fentry_pic="so pie"
