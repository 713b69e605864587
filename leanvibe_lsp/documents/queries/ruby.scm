(module name: (_) @name body: (_) @body) @module
(module name: (_) @name) @module
(class name: (_) @name body: (_) @body) @class
(class name: (_) @name) @class
(method name: (_) @name body: (_) @body) @method
(method name: (_) @name) @method
(singleton_method name: (_) @name body: (_) @body) @method
(singleton_method name: (_) @name) @method
(call !receiver method: (identifier) @_require (#match? @_require "^(require|require_relative|load)$")) @import
(ERROR "module" @module . (constant) @name) @error
(ERROR "class" @class . (constant) @name) @error
(ERROR "def" @method . (identifier) @name) @error
