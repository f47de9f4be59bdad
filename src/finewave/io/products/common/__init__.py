"""What products of several missions share."""
