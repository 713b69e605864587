(class_declaration name: (_) @name body: (_) @body) @class
(interface_declaration name: (_) @name body: (_) @body) @interface
(struct_declaration name: (_) @name body: (_) @body) @struct
(enum_declaration name: (_) @name body: (_) @body) @enum
(record_declaration name: (_) @name body: (_) @body) @record
(record_declaration name: (_) @name) @record
(namespace_declaration name: (_) @name body: (_) @body) @namespace
(method_declaration name: (_) @name body: (_) @body) @method
(method_declaration name: (_) @name) @method
(constructor_declaration name: (_) @name body: (_) @body) @constructor
(property_declaration name: (_) @name accessors: (_) @body) @property
(property_declaration name: (_) @name) @property
(local_function_statement name: (_) @name body: (_) @body) @function
(delegate_declaration name: (_) @name) @type
(using_directive) @import
(ERROR "class" @class . (identifier) @name) @error
(ERROR "interface" @interface . (identifier) @name) @error
(ERROR "struct" @struct . (identifier) @name) @error
(ERROR "namespace" @namespace . (identifier) @name) @error
