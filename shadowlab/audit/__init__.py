"""What was done, in an order nobody can change unseen: ledger, statements, signatures, verification, archives.

Tamper-evident, not tamper-proof: whoever holds the signing key can write another history. Give the key's id to the
reader by another way than the case itself, and `verify(..., signers=[...])` accepts no other.
"""
