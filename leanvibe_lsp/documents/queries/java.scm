(class_declaration name: (_) @name body: (_) @body) @class
(interface_declaration name: (_) @name body: (_) @body) @interface
(enum_declaration name: (_) @name body: (_) @body) @enum
(record_declaration name: (_) @name body: (_) @body) @record
(annotation_type_declaration name: (_) @name body: (_) @body) @interface
(constructor_declaration name: (_) @name body: (_) @body) @constructor
(method_declaration name: (_) @name body: (_) @body) @method
(method_declaration name: (_) @name) @method
(import_declaration) @import
(ERROR "class" @class . (identifier) @name) @error
(ERROR "interface" @interface . (identifier) @name) @error
(ERROR (_) @method . (identifier) @name . (formal_parameters)) @error
