(function_item name: (_) @name body: (_) @body) @function
(function_signature_item name: (_) @name) @function
(struct_item name: (_) @name body: (field_declaration_list) @body) @struct
(struct_item name: (_) @name) @struct
(union_item name: (_) @name body: (_) @body) @union
(enum_item name: (_) @name body: (_) @body) @enum
(trait_item name: (_) @name body: (_) @body) @trait
(impl_item type: (_) @name body: (_) @body) @impl
(mod_item name: (_) @name body: (_) @body) @module
(type_item name: (_) @name) @type
(macro_definition name: (_) @name) @macro
[(use_declaration) (extern_crate_declaration)] @import
(ERROR "fn" @function . (identifier) @name) @error
(ERROR "struct" @struct . (type_identifier) @name) @error
(ERROR "enum" @enum . (type_identifier) @name) @error
(ERROR "trait" @trait . (type_identifier) @name) @error
(ERROR "impl" @impl . (type_identifier) @name) @error
(ERROR "mod" @module . (identifier) @name) @error
