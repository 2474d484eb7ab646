"""Who invoices a customer, and with which value added tax."""
