path "sys/auth/jwt-home" { capabilities = ["create", "read", "sudo", "update"] }
path "auth/jwt-home/config" { capabilities = ["read", "update"] }
path "auth/jwt-home/role/tazlab-*" { capabilities = ["create", "read", "update"] }
