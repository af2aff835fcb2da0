#include "textflag.h"

// Sixteen SHA-256 computations at once, with AVX-512: each register holds one
// word of each. Names and formulas are those of FIPS 180-4, sections 4.1.2 and
// 6.2.2; the truth tables of VPTERNLOGD are those of Intel's manual.
//
//	AX        round constants     CX         message blocks left
//	SI        where the messages are         BX    how far they were read
//	DI        the states
//	Z0-Z15    message words, one for all     Z16-Z23   a to h
//	Z24-Z31   scratch

// One round. K and W come in first, so that what waits for E comes late.
#define ROUND(A, B, C, D, E, F, G, H, W, OFF) \
	VPADDD.BCST OFF(AX), W, Z24     \
	VPRORD      $6, E, Z25          \
	VPRORD      $11, E, Z26         \
	VPRORD      $25, E, Z27         \
	VMOVDQA64   E, Z28              \
	VPADDD      Z24, H, H           \
	VPTERNLOGD  $0xca, G, F, Z28    \
	VPTERNLOGD  $0x96, Z26, Z27, Z25 \
	VPADDD      Z28, H, H           \
	VPRORD      $2, A, Z29          \
	VPRORD      $13, A, Z30         \
	VPRORD      $22, A, Z31         \
	VPADDD      Z25, H, H           \
	VMOVDQA64   A, Z28              \
	VPTERNLOGD  $0xe8, C, B, Z28    \
	VPTERNLOGD  $0x96, Z30, Z31, Z29 \
	VPADDD      H, D, D             \
	VPADDD      Z28, H, H           \
	VPADDD      Z29, H, H

// The word sixteen rounds on from W, of those 1, 9 and 14 rounds on.
#define NEXT(W, W1, W9, W14) \
	VPRORD     $7, W1, Z25          \
	VPRORD     $18, W1, Z26         \
	VPSRLD     $3, W1, Z27          \
	VPADDD     W9, W, W             \
	VPTERNLOGD $0x96, Z26, Z27, Z25 \
	VPRORD     $17, W14, Z28        \
	VPRORD     $19, W14, Z29        \
	VPSRLD     $10, W14, Z30        \
	VPADDD     Z25, W, W            \
	VPTERNLOGD $0x96, Z29, Z30, Z28 \
	VPADDD     Z28, W, W

#define ROUNDS8(W0, W1, W2, W3, W4, W5, W6, W7, OFF) \
	ROUND(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, W0, OFF+0)  \
	ROUND(Z23, Z16, Z17, Z18, Z19, Z20, Z21, Z22, W1, OFF+4)  \
	ROUND(Z22, Z23, Z16, Z17, Z18, Z19, Z20, Z21, W2, OFF+8)  \
	ROUND(Z21, Z22, Z23, Z16, Z17, Z18, Z19, Z20, W3, OFF+12) \
	ROUND(Z20, Z21, Z22, Z23, Z16, Z17, Z18, Z19, W4, OFF+16) \
	ROUND(Z19, Z20, Z21, Z22, Z23, Z16, Z17, Z18, W5, OFF+20) \
	ROUND(Z18, Z19, Z20, Z21, Z22, Z23, Z16, Z17, W6, OFF+24) \
	ROUND(Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z16, W7, OFF+28)

// Two messages' words side by side, in Z16 to Z31.
#define LOAD(OFF, W) \
	MOVQ      OFF(SI), DX        \
	VMOVDQU32 (DX)(BX*1), W

#define PAIR(W0, W1, LOW, HIGH) \
	VPUNPCKLDQ W1, W0, LOW  \
	VPUNPCKHDQ W1, W0, HIGH

// Four messages' words side by side.
#define FOUR(LOW0, HIGH0, LOW1, HIGH1, W0, W1, W2, W3) \
	VPUNPCKLQDQ LOW1, LOW0, W0   \
	VPUNPCKHQDQ LOW1, LOW0, W1   \
	VPUNPCKLQDQ HIGH1, HIGH0, W2 \
	VPUNPCKHQDQ HIGH1, HIGH0, W3

// Words N, N+4, N+8 and N+12 of all messages, of which each register has four,
// one in each quarter.
#define ALL(W0, W1, W2, W3) \
	VSHUFI32X4 $0x44, W1, W0, Z24   \
	VSHUFI32X4 $0xee, W1, W0, Z25   \
	VSHUFI32X4 $0x44, W3, W2, Z26   \
	VSHUFI32X4 $0xee, W3, W2, Z27   \
	VSHUFI32X4 $0x88, Z26, Z24, W0  \
	VSHUFI32X4 $0xdd, Z26, Z24, W1  \
	VSHUFI32X4 $0x88, Z27, Z25, W2  \
	VSHUFI32X4 $0xdd, Z27, Z25, W3  \
	VPSHUFB    Z31, W0, W0          \
	VPSHUFB    Z31, W1, W1          \
	VPSHUFB    Z31, W2, W2          \
	VPSHUFB    Z31, W3, W3

// func blocks16(state *[8][16]uint32, from *[16]*byte, n int)
TEXT ·blocks16(SB), NOSPLIT, $0-24
	MOVQ state+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ n+16(FP), CX
	XORQ BX, BX
	TESTQ CX, CX
	JZ   done

next:
	LOAD(0, Z0)
	LOAD(8, Z1)
	LOAD(16, Z2)
	LOAD(24, Z3)
	LOAD(32, Z4)
	LOAD(40, Z5)
	LOAD(48, Z6)
	LOAD(56, Z7)
	LOAD(64, Z8)
	LOAD(72, Z9)
	LOAD(80, Z10)
	LOAD(88, Z11)
	LOAD(96, Z12)
	LOAD(104, Z13)
	LOAD(112, Z14)
	LOAD(120, Z15)
	ADDQ $64, BX
	PAIR(Z0, Z1, Z16, Z17)
	PAIR(Z2, Z3, Z18, Z19)
	PAIR(Z4, Z5, Z20, Z21)
	PAIR(Z6, Z7, Z22, Z23)
	PAIR(Z8, Z9, Z24, Z25)
	PAIR(Z10, Z11, Z26, Z27)
	PAIR(Z12, Z13, Z28, Z29)
	PAIR(Z14, Z15, Z30, Z31)
	FOUR(Z16, Z17, Z18, Z19, Z0, Z1, Z2, Z3)
	FOUR(Z20, Z21, Z22, Z23, Z4, Z5, Z6, Z7)
	FOUR(Z24, Z25, Z26, Z27, Z8, Z9, Z10, Z11)
	FOUR(Z28, Z29, Z30, Z31, Z12, Z13, Z14, Z15)
	VBROADCASTI32X4 ·order(SB), Z31
	ALL(Z0, Z4, Z8, Z12)
	ALL(Z1, Z5, Z9, Z13)
	ALL(Z2, Z6, Z10, Z14)
	ALL(Z3, Z7, Z11, Z15)

	VMOVDQU32 (DI), Z16
	VMOVDQU32 64(DI), Z17
	VMOVDQU32 128(DI), Z18
	VMOVDQU32 192(DI), Z19
	VMOVDQU32 256(DI), Z20
	VMOVDQU32 320(DI), Z21
	VMOVDQU32 384(DI), Z22
	VMOVDQU32 448(DI), Z23

	LEAQ ·constants(SB), AX
	MOVQ $3, DX

rounds:
	ROUNDS8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, 0)
	NEXT(Z0, Z1, Z9, Z14)
	NEXT(Z1, Z2, Z10, Z15)
	NEXT(Z2, Z3, Z11, Z0)
	NEXT(Z3, Z4, Z12, Z1)
	NEXT(Z4, Z5, Z13, Z2)
	NEXT(Z5, Z6, Z14, Z3)
	NEXT(Z6, Z7, Z15, Z4)
	NEXT(Z7, Z8, Z0, Z5)
	ROUNDS8(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, 32)
	NEXT(Z8, Z9, Z1, Z6)
	NEXT(Z9, Z10, Z2, Z7)
	NEXT(Z10, Z11, Z3, Z8)
	NEXT(Z11, Z12, Z4, Z9)
	NEXT(Z12, Z13, Z5, Z10)
	NEXT(Z13, Z14, Z6, Z11)
	NEXT(Z14, Z15, Z7, Z12)
	NEXT(Z15, Z0, Z8, Z13)
	ADDQ $64, AX
	DECQ DX
	JNZ  rounds
	ROUNDS8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, 0)
	ROUNDS8(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, 32)

	VPADDD (DI), Z16, Z16
	VPADDD 64(DI), Z17, Z17
	VPADDD 128(DI), Z18, Z18
	VPADDD 192(DI), Z19, Z19
	VPADDD 256(DI), Z20, Z20
	VPADDD 320(DI), Z21, Z21
	VPADDD 384(DI), Z22, Z22
	VPADDD 448(DI), Z23, Z23
	VMOVDQU32 Z16, (DI)
	VMOVDQU32 Z17, 64(DI)
	VMOVDQU32 Z18, 128(DI)
	VMOVDQU32 Z19, 192(DI)
	VMOVDQU32 Z20, 256(DI)
	VMOVDQU32 Z21, 320(DI)
	VMOVDQU32 Z22, 384(DI)
	VMOVDQU32 Z23, 448(DI)
	DECQ CX
	JNZ  next

done:
	VZEROUPPER
	RET
