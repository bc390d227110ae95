#include "textflag.h"

// func prefetchLines(mem []byte, at []uint64)
TEXT ·prefetchLines(SB), NOSPLIT, $0-48
	MOVQ mem_base+0(FP), AX
	MOVQ at_base+24(FP), BX
	MOVQ at_len+32(FP), CX
	LEAQ (BX)(CX*8), CX
	CMPQ BX, CX
	JAE  done

loop:
	MOVQ        (BX), DX
	PREFETCHT0  (AX)(DX*1)
	ADDQ        $8, BX
	CMPQ        BX, CX
	JB          loop

done:
	RET
