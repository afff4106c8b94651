"""The Hexagon tensor processor: Qualcomm's compiler and emulator as jobs in their own environment."""
