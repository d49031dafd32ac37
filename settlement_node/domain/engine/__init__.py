"""The engine's pure rules: fees, keeping, finality and its bounds."""
