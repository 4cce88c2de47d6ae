/* SPDX-License-Identifier: MIT */
/*
 * Decoding by Zydis.  No state but its decoder, which is constant.
 */
#include "backends/x86/decode.h"

#include <string.h>

#include <Zydis/Zydis.h>

#ifdef __x86_64__
#define MACHINE ZYDIS_MACHINE_MODE_LONG_64
#define STACK   ZYDIS_STACK_WIDTH_64
enum { WORD_BITS = 64 };
#else
#define MACHINE ZYDIS_MACHINE_MODE_LEGACY_32
#define STACK   ZYDIS_STACK_WIDTH_32
enum { WORD_BITS = 32 };
#endif

static ZydisDecoder decoder_of(bool minimal)
{
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, MACHINE, STACK);
	if (minimal)
		ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
	return decoder;
}

size_t ftr__x86_insn_length(const uint8_t *bytes, size_t room)
{
	ZydisDecoder decoder = decoder_of(true);
	ZydisDecodedInstruction z;

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, room, &z)))
		return 0;
	return z.length;
}

/* --- operands ------------------------------------------------------------------- */

/* The number of the general register that a register is, or is a part of. */
static uint8_t general(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(MACHINE, reg);
	ZydisRegisterClass class = ZydisRegisterGetClass(whole);

	if (class != ZYDIS_REGCLASS_GPR64 && class != ZYDIS_REGCLASS_GPR32)
		return FTR__X86_NO_REGISTER;
	return (uint8_t)ZydisRegisterGetId(whole);
}

static void use(struct ftr__x86_insn *insn, ZydisRegister reg)
{
	uint8_t number = general(reg);

	if (number != FTR__X86_NO_REGISTER)
		insn->uses |= (uint16_t)(1u << number);
}

static bool by_ip(const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP);
}

static void take_memory(struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z,
			const ZydisDecodedOperand *o, uintptr_t ip)
{
	ZyanU64 address;

	use(insn, o->mem.base);
	use(insn, o->mem.index);
	if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
		return;
	insn->base = general(o->mem.base);
	insn->index = general(o->mem.index);
	if (by_ip(o) && ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(z, o, ip, &address))) {
		insn->ip_relative = true;
		insn->target = (uintptr_t)address;
	}
}

static bool is_thread_segment(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_FS || reg == ZYDIS_REGISTER_GS;
}

static void take_operands(struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z,
			  const ZydisDecodedOperand *operands, uintptr_t ip)
{
	ZyanU64 address;

	for (unsigned i = 0; i < z->operand_count; i++) {
		const ZydisDecodedOperand *o = &operands[i];
		switch (o->type) {
		case ZYDIS_OPERAND_TYPE_REGISTER:
			use(insn, o->reg.value);
			if (is_thread_segment(o->reg.value) &&
			    (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
				insn->sets_thread = true;
			break;
		case ZYDIS_OPERAND_TYPE_MEMORY:
			take_memory(insn, z, o, ip);
			break;
		case ZYDIS_OPERAND_TYPE_IMMEDIATE:
			if (o->imm.is_relative &&
			    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(z, o, ip, &address)))
				insn->target = (uintptr_t)address;
			break;
		default:
			break;
		}
	}
}

/* --- flow ----------------------------------------------------------------------- */

static bool is_direct(const ZydisDecodedInstruction *z)
{
	return z->raw.imm[0].is_relative;
}

static void take_call(struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z,
		      const ZydisDecodedOperand *operands, bool call)
{
	if (z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
		insn->flow = FTR__X86_FLOW_AWAY;
		if (call)
			insn->refused = "a far call, which pushes its own address";
		return;
	}
	if (is_direct(z)) {
		insn->flow = call ? FTR__X86_FLOW_CALL : FTR__X86_FLOW_JMP;
		return;
	}
	insn->flow = call ? FTR__X86_FLOW_CALL_VIA : FTR__X86_FLOW_JMP_VIA;
	if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
		insn->via = general(operands[0].reg.value);
	if (call && insn->via == FTR__X86_SP)
		insn->refused = "a call of the stack itself";
}

/* Branches other than these are of processors that are no more. */
static void take_branch(struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z)
{
	uint8_t class = z->opcode & 0xf0;

	insn->condition = z->opcode & 0x0f;
	if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && z->opcode >= 0xe0 && z->opcode <= 0xe3)
		insn->flow = FTR__X86_FLOW_LOOP;
	else if ((z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && class == 0x70) ||
		 (z->opcode_map == ZYDIS_OPCODE_MAP_0F && class == 0x80))
		insn->flow = FTR__X86_FLOW_JCC;
	else
		insn->refused = "a branch of a kind that is not known";
}

static void take_flow(struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z,
		      const ZydisDecodedOperand *operands)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_CALL:
		take_call(insn, z, operands, true);
		break;
	case ZYDIS_MNEMONIC_JMP:
		take_call(insn, z, operands, false);
		break;
	case ZYDIS_MNEMONIC_RET:
		insn->flow = z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ? FTR__X86_FLOW_AWAY
									  : FTR__X86_FLOW_RET;
		insn->pops = (uint16_t)z->raw.imm[0].value.u;
		break;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		insn->flow = FTR__X86_FLOW_AWAY;
		break;
	default:
		if (z->meta.category == ZYDIS_CATEGORY_COND_BR &&
		    z->mnemonic != ZYDIS_MNEMONIC_XBEGIN && is_direct(z))
			take_branch(insn, z);
		break;
	}
}

/* --- refusals --------------------------------------------------------------------- */

static bool is_branch(const struct ftr__x86_insn *insn)
{
	return insn->flow != FTR__X86_FLOW_NEXT && insn->flow != FTR__X86_FLOW_AWAY &&
	       insn->flow != FTR__X86_FLOW_SYSCALL;
}

/*
 * With an operand-size prefix (and no REX.W) a branch cuts its target to 16 bits
 * on i386 and on AMD's x86_64; Intel's ignores the prefix there (SDM volume 2,
 * "JMP", "CALL"; AMD64 APM volume 3, the same).
 */
static bool cuts_target(const struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z)
{
	return is_branch(insn) && z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
	       (z->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) && !z->raw.rex.W;
}

/* `int 3`, of two bytes. */
enum { BREAKPOINT = 3 };

static void take_special(struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_INT:
		if (z->raw.imm[0].value.u != BREAKPOINT)
			break;
		/* fall through */
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
		insn->refused = "a breakpoint";
		insn->no_code = true;
		break;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		insn->refused = "an instruction that is undefined on purpose";
		insn->no_code = true;
		break;
	case ZYDIS_MNEMONIC_XBEGIN:
		insn->refused = "the begin of a transaction, which a breakpoint would end";
		break;
	case ZYDIS_MNEMONIC_SYSENTER:
		insn->refused = "a system call that returns to a fixed address";
		break;
	case ZYDIS_MNEMONIC_SYSCALL:
		if (WORD_BITS == 64)
			insn->flow = FTR__X86_FLOW_SYSCALL;
		else
			insn->refused = "a system call that returns to a fixed address";
		break;
	case ZYDIS_MNEMONIC_WRFSBASE:
	case ZYDIS_MNEMONIC_WRGSBASE:
		insn->sets_thread = true;
		break;
	default:
		break;
	}
	if (cuts_target(insn, z))
		insn->refused = "a branch with an operand-size prefix";
}

/* --- the whole -------------------------------------------------------------------- */

static void take_encoding(struct ftr__x86_insn *insn, const ZydisDecodedInstruction *z)
{
	insn->opcode = z->opcode;
	if (z->attributes & ZYDIS_ATTRIB_HAS_MODRM)
		insn->modrm_at = z->raw.modrm.offset;
	insn->disp_at = z->raw.disp.offset;
	insn->disp_size = z->raw.disp.size / 8;
	insn->narrow = z->address_width < WORD_BITS;
	switch (z->encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
	case ZYDIS_INSTRUCTION_ENCODING_3DNOW:
		insn->has_rex = z->attributes & ZYDIS_ATTRIB_HAS_REX;
		insn->rex_at = insn->has_rex ? z->raw.rex.offset : 0;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
		/* Only the form of three bytes has a B bit. */
		insn->vex_at = z->raw.vex.size == 3 ? z->raw.vex.offset + 1 : 0;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_XOP:
		insn->vex_at = z->raw.xop.offset + 1;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
		insn->vex_at = z->raw.evex.offset + 1;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_MVEX:
		insn->refused = "an instruction of a processor that is no more";
		break;
	}
}

bool ftr__x86_decode_insn(const uint8_t *bytes, size_t room, uintptr_t ip,
			  struct ftr__x86_insn *insn)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecoder decoder = decoder_of(false);
	ZydisDecodedInstruction z;

	memset(insn, 0, sizeof *insn);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, room, &z, operands)))
		return false;
	insn->bytes = bytes;
	insn->length = z.length;
	insn->base = insn->index = insn->via = FTR__X86_NO_REGISTER;
	take_encoding(insn, &z);
	take_operands(insn, &z, operands, ip);
	take_flow(insn, &z, operands);
	take_special(insn, &z);
	return true;
}
