;;; leanvibe.el --- Ask a local model about the code in front of you  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 the LeanVibe authors
;; SPDX-License-Identifier: Apache-2.0
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (eglot "1.9"))
;; Keywords: languages, tools

;;; Commentary:

;; Glue between Eglot and `leanvibe-lsp', a language server with a model on your own machine.  Everything that knows
;; about code or models is in the server.
;;
;;   (require 'leanvibe)
;;   (leanvibe-setup)          ; for modes that have no server yet; see `leanvibe-modes' and `leanvibe-setup'
;;
;; Then `eglot' as always, and `leanvibe-ask', `leanvibe-explain', `leanvibe-fix', `leanvibe-change',
;; `leanvibe-cancel'.  Diagnostics, hover and code actions are Eglot's own.

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'subr-x)

(defgroup leanvibe nil
  "Ask a local model about your code."
  :group 'tools)

(defcustom leanvibe-program '("leanvibe-lsp")
  "The server and its arguments."
  :type '(repeat string))

(defcustom leanvibe-modes
  '(python-mode python-ts-mode js-mode js-ts-mode typescript-mode typescript-ts-mode tsx-ts-mode go-mode go-ts-mode
    rust-mode rust-ts-mode java-mode java-ts-mode c-mode c-ts-mode c++-mode c++-ts-mode csharp-mode csharp-ts-mode
    ruby-mode ruby-ts-mode php-mode php-ts-mode sh-mode bash-ts-mode)
  "The major modes LeanVibe is a server for."
  :type '(repeat symbol))

(defclass leanvibe-server (eglot-lsp-server) ()
  "A connection to `leanvibe-lsp'.")

(defun leanvibe--contact (&optional _interactive)
  "How Eglot starts the server."
  (cons 'leanvibe-server leanvibe-program))

;;;###autoload
(defun leanvibe-setup (&optional instead)
  "Make LeanVibe known to Eglot for `leanvibe-modes'.
Eglot runs one server in a buffer.  A mode that has one keeps it, and
gets LeanVibe by `leanvibe-eglot'; with INSTEAD it is the server of all
these modes."
  (let ((entry (cons leanvibe-modes #'leanvibe--contact)))
    (setq eglot-server-programs (delete entry eglot-server-programs))
    (if instead
        (push entry eglot-server-programs)
      (setq eglot-server-programs (append eglot-server-programs (list entry))))))

;;;###autoload
(defun leanvibe-eglot ()
  "Start LeanVibe for this buffer, whichever server its mode has otherwise."
  (interactive)
  (let ((eglot-server-programs (list (cons leanvibe-modes #'leanvibe--contact))))
    (apply #'eglot (eglot--guess-contact))))

;;; The window of an answer

(define-derived-mode leanvibe-answer-mode special-mode "LeanVibe"
  "An answer while it is being written, and after that."
  (setq-local word-wrap t))

(define-key leanvibe-answer-mode-map (kbd "C-c C-k") #'leanvibe-cancel)

(defvar-local leanvibe--state nil
  "What the header line says of the answer.")

(cl-defstruct (leanvibe--request (:constructor leanvibe--request-make))
  server token work buffer)

(defvar leanvibe--requests nil
  "The requests that are running.")

(defvar leanvibe--serial 0)

(defun leanvibe--buffer (title)
  "An empty window for the answer to TITLE."
  (let ((buffer (get-buffer-create "*LeanVibe*")))
    (with-current-buffer buffer
      (let ((inhibit-read-only t))
        (erase-buffer))
      (leanvibe-answer-mode)
      (setq leanvibe--state "asking"
            header-line-format
            `(,(string-replace "%" "%%" title) " · " (:eval (string-replace "%" "%%" leanvibe--state)))))
    (display-buffer buffer)
    buffer))

(defun leanvibe--show (buffer text &optional anew)
  "Add TEXT to BUFFER; with ANEW, in the place of what is there."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (let ((inhibit-read-only t))
        (when anew (erase-buffer))
        (save-excursion
          (goto-char (point-max))
          (insert text))))))

(defun leanvibe--say (buffer state)
  "Have the header line of BUFFER say STATE."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (setq leanvibe--state state)
      (force-mode-line-update))))

(cl-defmethod eglot-handle-notification
  ((_server leanvibe-server) (_method (eql '$/progress)) &key token value &allow-other-keys)
  "Take what comes under the TOKEN of a request of ours.
VALUE is text, a new beginning or a stage."
  (let ((text (cl-find-if (lambda (one) (equal (leanvibe--request-token one) token)) leanvibe--requests))
        (work (cl-find-if (lambda (one) (equal (leanvibe--request-work one) token)) leanvibe--requests)))
    (cond ((and text (stringp value)) (leanvibe--show (leanvibe--request-buffer text) value))
          (text (leanvibe--show (leanvibe--request-buffer text) "" t)
                (leanvibe--say (leanvibe--request-buffer text) (plist-get value :restart)))
          (work (when-let ((stage (and (not (equal (plist-get value :kind) "end")) (plist-get value :message))))
                  (leanvibe--say (leanvibe--request-buffer work) stage)))
          ((not (stringp value)) (cl-call-next-method)))))

(defun leanvibe--forget (one)
  "Whether somebody still waits for the request ONE; from now on nobody does."
  (when (memq one leanvibe--requests)
    (setq leanvibe--requests (remq one leanvibe--requests))
    t))

(defun leanvibe--send (server method params buffer done failed)
  "Send PARAMS as METHOD to SERVER.
What comes before the reply is shown in BUFFER.  DONE is called with the
result, or FAILED with message, data and code.  There is no time limit:
a model takes as long as it takes, and `leanvibe-cancel' stops it."
  (let* ((number (cl-incf leanvibe--serial))
         (one (leanvibe--request-make :server server :buffer buffer
                                      :token (format "leanvibe/text/%d" number)
                                      :work (format "leanvibe/work/%d" number)))
         (token (list :partialResultToken (leanvibe--request-token one)))
         (arguments (plist-get params :arguments)))
    ;; LSP knows no partial results of a command; ours take the token with their argument.
    (setq params (if arguments
                     (list :command (plist-get params :command)
                           :arguments (vector (append token (elt arguments 0))))
                   (append token params)))
    (push one leanvibe--requests)
    (jsonrpc-async-request server method (append (list :workDoneToken (leanvibe--request-work one)) params)
                           :timeout nil
                           :success-fn (lambda (result)
                                         (when (leanvibe--forget one) (funcall done result)))
                           :error-fn (jsonrpc-lambda (&key code message data)
                                       (when (leanvibe--forget one) (funcall failed message data code))))))

(defun leanvibe-cancel ()
  "Stop every question and change that is running; text that came is kept."
  (interactive)
  (unless leanvibe--requests
    (message "LeanVibe: nothing is running."))
  (mapc #'leanvibe--stop leanvibe--requests))

(defun leanvibe--stop (one)
  "Have the server stop the request ONE.
By the token of its progress: jsonrpc.el does not tell a request's id."
  (jsonrpc-notify (leanvibe--request-server one) :window/workDoneProgress/cancel
                  (list :token (leanvibe--request-work one))))

(defun leanvibe--stop-answers ()
  "Stop what is being written into the window: the next answer takes it."
  (dolist (one leanvibe--requests)
    (when (leanvibe--request-buffer one)
      (leanvibe--stop one)
      (leanvibe--forget one))))

(defun leanvibe--stopped-p (code)
  "Whether CODE is that of a request that was stopped."
  (memql code '(-32800 -32802)))

(defun leanvibe--summary (answer)
  "Who gave ANSWER and how sure, as one line."
  (let ((confidence (plist-get answer :confidence)))
    (concat (pcase (plist-get answer :finishReason)
              ("loop" "stopped: it repeats itself · ")
              ("length" "cut at its limit · "))
            (string-join (list (plist-get answer :model) (plist-get answer :backend) (plist-get answer :tier)) " · ")
            (format " · confidence %.2f %s" (plist-get confidence :value)
                    (if (eq t (plist-get confidence :calibrated)) "calibrated" "raw")))))

(defun leanvibe--stream (server method title params)
  "Send PARAMS as METHOD to SERVER and show the answer to TITLE as it comes."
  (leanvibe--stop-answers)
  (let ((buffer (leanvibe--buffer title)))
    (leanvibe--send server method params buffer
                    (lambda (answer)
                      (leanvibe--show buffer (plist-get answer :answer) t)
                      (leanvibe--say buffer (leanvibe--summary answer)))
                    (lambda (message _data code)
                      (if (leanvibe--stopped-p code)
                          (leanvibe--say buffer "stopped")
                        (leanvibe--show buffer (format "\n\n%s" message))
                        (leanvibe--say buffer "failed"))))))

;;; Commands

(defun leanvibe--server ()
  "The LeanVibe server of this buffer, told of its text as it is.
An error says what to do when there is none."
  (let ((server (eglot-current-server)))
    (unless (cl-typep server 'leanvibe-server)
      (user-error "LeanVibe is not the server of this buffer: M-x leanvibe-eglot starts it"))
    (eglot--signal-textDocument/didChange)
    server))

(defun leanvibe--range ()
  "The region, or an empty range at point."
  (list :start (eglot--pos-to-lsp-position (if (use-region-p) (region-beginning) (point)))
        :end (eglot--pos-to-lsp-position (if (use-region-p) (region-end) (point)))))

(defun leanvibe--place ()
  "The region or point, as the server's commands take it."
  (list :uri (plist-get (eglot--TextDocumentIdentifier) :uri) :range (leanvibe--range)))

;;;###autoload
(defun leanvibe-ask (question)
  "Ask QUESTION about the region or the place of point.
The answer streams into a buffer."
  (interactive "sAsk LeanVibe: ")
  (leanvibe--stream (leanvibe--server) :leanvibe/ask question
                    (append (list :question question :textDocument (eglot--TextDocumentIdentifier))
                            (if (use-region-p)
                                (list :range (leanvibe--range))
                              (list :position (eglot--pos-to-lsp-position))))))

;;;###autoload
(defun leanvibe-explain ()
  "Explain the region, or the code at point."
  (interactive)
  (leanvibe--execute (leanvibe--server) "leanvibe.explain" (vector (leanvibe--place)) "Explain"))

;;;###autoload
(defun leanvibe-fix ()
  "Offer the fixes for the diagnostics at point or in the region."
  (interactive)
  (leanvibe--server)
  (call-interactively #'eglot-code-action-quickfix))

;;;###autoload
(defun leanvibe-change (instruction)
  "Have the region, or the symbol at point, changed as INSTRUCTION says."
  (interactive "sChange with LeanVibe: ")
  (leanvibe--execute (leanvibe--server) "leanvibe.change"
                     (vector (append (list :kind "rewrite" :instruction instruction) (leanvibe--place)))
                     "Change"))

(defun leanvibe--changed (title result)
  "Say what came of the change TITLE, by the RESULT of the server's command."
  (cond ((eq t (plist-get result :applied)) (message "LeanVibe: %s: done" (plist-get result :title)))
        ((not (string-empty-p (or (plist-get result :refusal) "")))
         (leanvibe--not-applied title (plist-get result :refusal) (plist-get result :draft)))))

(defun leanvibe--not-applied (title reason draft)
  "Say the REASON why the change TITLE was not applied, and show its DRAFT."
  (message "LeanVibe: %s" reason)
  (unless (string-empty-p (or draft ""))
    (let ((buffer (leanvibe--buffer title)))
      (leanvibe--show buffer draft)
      (leanvibe--say buffer "a draft, not applied"))))

(defun leanvibe--execute (server command arguments &optional title)
  "Have SERVER run COMMAND with ARGUMENTS; TITLE is what a person chose."
  (let* ((title (or title (if (equal command "leanvibe.explain") "Explain" "Change")))
         (argument (elt arguments 0))
         (params (list :command command :arguments arguments)))
    (cond ((equal command "leanvibe.explain")
           (leanvibe--stream server :workspace/executeCommand title params))
          ((and (equal command "leanvibe.change") (equal (plist-get argument :kind) "rewrite")
                (not (plist-get argument :instruction)))
           (let ((words (list :instruction (read-string "Change with LeanVibe: "))))
             (leanvibe--execute server command (vector (append words argument)) title)))
          ((equal command "leanvibe.change")
           (message "LeanVibe: %s; M-x leanvibe-cancel stops it" title)
           (leanvibe--send server :workspace/executeCommand params nil
                           (lambda (result) (leanvibe--changed title result))
                           (lambda (message data code)
                             (if (leanvibe--stopped-p code)
                                 (message "LeanVibe: stopped")
                               (leanvibe--not-applied title message (plist-get data :draft))))))
          (t (jsonrpc-async-request server :workspace/executeCommand params
                                    :success-fn #'ignore
                                    :error-fn (jsonrpc-lambda (&key message &allow-other-keys)
                                                (message "LeanVibe: %s" message)))))))

(cl-defmethod eglot-execute-command ((server leanvibe-server) command arguments)
  "Have SERVER run the COMMAND of a code action with ARGUMENTS."
  (leanvibe--execute server (format "%s" command) arguments))

;; Emacs 29 and newer hand the whole action over.
(when (fboundp 'eglot-execute)
  (cl-defmethod eglot-execute ((server leanvibe-server) action)
    "Have SERVER run what ACTION holds, its command without a time limit."
    (let* ((inner (plist-get action :command))
           (command (if (stringp inner) action inner)))
      (if (or (null command) (plist-get action :edit))
          (cl-call-next-method)
        (leanvibe--execute server (plist-get command :command) (plist-get command :arguments)
                           (plist-get action :title))))))

(provide 'leanvibe)
;;; leanvibe.el ends here
