#include "textflag.h"

// Two independent SHA-256 computations at once, with the SHA extensions of
// x86. One alone waits for the result of each SHA256RNDS2 before the next can
// start; a second one fills that time. The instructions and the order of their
// operands are those of Intel's manual, volume 2: a state is kept in two
// registers, FEBA and HGDC from the low word up.
//
//	AX       round constants     CX       blocks left
//	R8, R9   the two messages    DI, SI   the two states
//	X0       what SHA256RNDS2 takes: four words of message plus constants
//	X1, X2   state of the first      X3-X6    its message words
//	X7, X8   state of the second     X9-X12   its message words
//	X13      scratch                 X14      byte order of a message

// Four rounds on the state S0, S1 with the words M and the constants at OFF.
#define ROUNDS(S0, S1, M, OFF) \
	MOVOU       OFF(AX), X0    \
	PADDD       M, X0          \
	SHA256RNDS2 X0, S0, S1     \
	PSHUFD      $0x0e, X0, X0  \
	SHA256RNDS2 X0, S1, S0

// The next four words of the message N, from the words C just used, P before
// them and what SHA256MSG1 left in N; and the same preparation of P.
#define NEXT(C, P, N)     \
	MOVO       C, X13     \
	PALIGNR    $4, P, X13 \
	PADDD      X13, N     \
	SHA256MSG2 C, N

#define LOAD(FROM, OFF, M) \
	MOVOU  OFF(FROM), M    \
	PSHUFB X14, M

#define BOTH(OFF, C1, P1, N1, C2, P2, N2) \
	ROUNDS(X1, X2, C1, OFF) \
	ROUNDS(X7, X8, C2, OFF) \
	NEXT(C1, P1, N1)        \
	NEXT(C2, P2, N2)

// func blocks2(a, b *[8]uint32, p, q *byte, n int)
TEXT ·blocks2(SB), NOSPLIT, $64-40
	MOVQ  a+0(FP), DI
	MOVQ  b+8(FP), SI
	MOVQ  p+16(FP), R8
	MOVQ  q+24(FP), R9
	MOVQ  n+32(FP), CX
	LEAQ  ·constants(SB), AX
	MOVOU ·order(SB), X14
	MOVOU (DI), X1
	MOVOU 16(DI), X2
	MOVOU (SI), X7
	MOVOU 16(SI), X8
	TESTQ CX, CX
	JZ    done

next:
	MOVOU X1, state-64(SP)
	MOVOU X2, state-48(SP)
	MOVOU X7, state-32(SP)
	MOVOU X8, state-16(SP)

	LOAD(R8, 0, X3)
	LOAD(R9, 0, X9)
	ROUNDS(X1, X2, X3, 0)
	ROUNDS(X7, X8, X9, 0)

	LOAD(R8, 16, X4)
	LOAD(R9, 16, X10)
	ROUNDS(X1, X2, X4, 16)
	ROUNDS(X7, X8, X10, 16)
	SHA256MSG1 X4, X3
	SHA256MSG1 X10, X9

	LOAD(R8, 32, X5)
	LOAD(R9, 32, X11)
	ROUNDS(X1, X2, X5, 32)
	ROUNDS(X7, X8, X11, 32)
	SHA256MSG1 X5, X4
	SHA256MSG1 X11, X10

	LOAD(R8, 48, X6)
	LOAD(R9, 48, X12)
	BOTH(48, X6, X5, X3, X12, X11, X9)
	SHA256MSG1 X6, X5
	SHA256MSG1 X12, X11
	BOTH(64, X3, X6, X4, X9, X12, X10)
	SHA256MSG1 X3, X6
	SHA256MSG1 X9, X12
	BOTH(80, X4, X3, X5, X10, X9, X11)
	SHA256MSG1 X4, X3
	SHA256MSG1 X10, X9
	BOTH(96, X5, X4, X6, X11, X10, X12)
	SHA256MSG1 X5, X4
	SHA256MSG1 X11, X10
	BOTH(112, X6, X5, X3, X12, X11, X9)
	SHA256MSG1 X6, X5
	SHA256MSG1 X12, X11
	BOTH(128, X3, X6, X4, X9, X12, X10)
	SHA256MSG1 X3, X6
	SHA256MSG1 X9, X12
	BOTH(144, X4, X3, X5, X10, X9, X11)
	SHA256MSG1 X4, X3
	SHA256MSG1 X10, X9
	BOTH(160, X5, X4, X6, X11, X10, X12)
	SHA256MSG1 X5, X4
	SHA256MSG1 X11, X10
	BOTH(176, X6, X5, X3, X12, X11, X9)
	SHA256MSG1 X6, X5
	SHA256MSG1 X12, X11
	BOTH(192, X3, X6, X4, X9, X12, X10)
	SHA256MSG1 X3, X6
	SHA256MSG1 X9, X12
	BOTH(208, X4, X3, X5, X10, X9, X11)
	BOTH(224, X5, X4, X6, X11, X10, X12)
	ROUNDS(X1, X2, X6, 240)
	ROUNDS(X7, X8, X12, 240)

	MOVOU state-64(SP), X13
	PADDD X13, X1
	MOVOU state-48(SP), X13
	PADDD X13, X2
	MOVOU state-32(SP), X13
	PADDD X13, X7
	MOVOU state-16(SP), X13
	PADDD X13, X8

	ADDQ $64, R8
	ADDQ $64, R9
	DECQ CX
	JNZ  next

done:
	MOVOU X1, (DI)
	MOVOU X2, 16(DI)
	MOVOU X7, (SI)
	MOVOU X8, 16(SI)
	RET

// func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL subleaf+4(FP), CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL BX, ebx+12(FP)
	MOVL CX, ecx+16(FP)
	MOVL DX, edx+20(FP)
	RET

// A message's words are big-endian.
DATA ·order+0(SB)/8, $0x0405060700010203
DATA ·order+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL ·order(SB), RODATA|NOPTR, $16

// FIPS 180-4, section 4.2.2.
DATA ·constants+0(SB)/8, $0x71374491428a2f98
DATA ·constants+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA ·constants+16(SB)/8, $0x59f111f13956c25b
DATA ·constants+24(SB)/8, $0xab1c5ed5923f82a4
DATA ·constants+32(SB)/8, $0x12835b01d807aa98
DATA ·constants+40(SB)/8, $0x550c7dc3243185be
DATA ·constants+48(SB)/8, $0x80deb1fe72be5d74
DATA ·constants+56(SB)/8, $0xc19bf1749bdc06a7
DATA ·constants+64(SB)/8, $0xefbe4786e49b69c1
DATA ·constants+72(SB)/8, $0x240ca1cc0fc19dc6
DATA ·constants+80(SB)/8, $0x4a7484aa2de92c6f
DATA ·constants+88(SB)/8, $0x76f988da5cb0a9dc
DATA ·constants+96(SB)/8, $0xa831c66d983e5152
DATA ·constants+104(SB)/8, $0xbf597fc7b00327c8
DATA ·constants+112(SB)/8, $0xd5a79147c6e00bf3
DATA ·constants+120(SB)/8, $0x1429296706ca6351
DATA ·constants+128(SB)/8, $0x2e1b213827b70a85
DATA ·constants+136(SB)/8, $0x53380d134d2c6dfc
DATA ·constants+144(SB)/8, $0x766a0abb650a7354
DATA ·constants+152(SB)/8, $0x92722c8581c2c92e
DATA ·constants+160(SB)/8, $0xa81a664ba2bfe8a1
DATA ·constants+168(SB)/8, $0xc76c51a3c24b8b70
DATA ·constants+176(SB)/8, $0xd6990624d192e819
DATA ·constants+184(SB)/8, $0x106aa070f40e3585
DATA ·constants+192(SB)/8, $0x1e376c0819a4c116
DATA ·constants+200(SB)/8, $0x34b0bcb52748774c
DATA ·constants+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA ·constants+216(SB)/8, $0x682e6ff35b9cca4f
DATA ·constants+224(SB)/8, $0x78a5636f748f82ee
DATA ·constants+232(SB)/8, $0x8cc7020884c87814
DATA ·constants+240(SB)/8, $0xa4506ceb90befffa
DATA ·constants+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL ·constants(SB), RODATA|NOPTR, $256
