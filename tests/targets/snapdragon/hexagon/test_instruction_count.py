"""The emulator's log."""

from targets.snapdragon.hexagon.instruction_count import InstructionCount, count_log

LOG = b"""----------------
IN: kernel
0x00020120:  0x707dc000\t{\tR0 = memw(R1+#0x0); R3 = #0x0 }
0x00020124:  0x763dfe1d\t{\timmext(#0x1000)
0x00020128:  0x763dfe1d\t\tV1 = vmem(R0+#0x0)
0x0002012c:  0x5800c004\t\tV2.w += vrmpy(V0.ub,V1.b) }
0x00020130:  0x7f00c000\t{\tnop }

Trace 0: 0x7efd948000c0 [00000000/00020120/00000000/00000200] kernel
Trace 0: 0x7efd948000c0 [00000000/00020120/00000000/00000200] kernel
"""


def test_blocks_count_as_often_as_they_are_entered():
    assert count_log(LOG.splitlines(keepends=True)) == {"kernel": InstructionCount(6, 4, 4)}


def test_a_translated_block_that_is_not_entered_does_not_count():
    assert count_log(LOG.partition(b"Trace")[0].splitlines()) == {}
