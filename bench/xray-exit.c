/* SPDX-License-Identifier: MIT */
/* Compiled for XRay, with sleds at its entry and its exit: see bench/exit.c. */
int bench_fn_exit_xray(int n);

int bench_fn_exit_xray(int n)
{
	return n + 1;
}
