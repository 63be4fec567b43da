"""The DCA executor: entries at several prices, exits on their average."""
