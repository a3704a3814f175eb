"""Nothing lost, nothing twice: hundreds of clients of one job that moves under them, again and again."""
