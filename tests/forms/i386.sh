# SPDX-License-Identifier: MIT
# What compilers make for i386: clang takes no nop of more than two bytes; gcc
# refuses -mfentry with position-independent code.

machine=-m32
clang3="before=669090"
clang5="before=6690669090 pad=5"
clang8="before=6690669066906690 pad=6"
clang16="before=66906690669066906690669066906690 pad=6"
clang7_2="before=6690669090 pad=5"
fentry_pic=
