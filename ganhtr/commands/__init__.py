"""The commands of `python -m ganhtr`. Networks are imported only when a command needs them."""
