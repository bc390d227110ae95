#include "textflag.h"

// func prefetchLines(mem []byte, at []uint64)
TEXT ·prefetchLines(SB), NOSPLIT, $0-48
	MOVD mem_base+0(FP), R0
	MOVD at_base+24(FP), R1
	MOVD at_len+32(FP), R2
	ADD  R2<<3, R1, R2
	CMP  R2, R1
	BHS  done

loop:
	MOVD.P 8(R1), R3
	ADD    R0, R3, R3
	PRFM   (R3), PLDL1KEEP
	CMP    R2, R1
	BLO    loop

done:
	RET
